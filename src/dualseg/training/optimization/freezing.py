"""Parts that do not learn, and batch norms that keep the statistics they came with."""

from collections.abc import Iterable, Sequence
from types import MethodType

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dualseg.config import TrainingSettings
from dualseg.training.optimization.parts import longest_prefix, require_parts


def freeze(model: nn.Module, training: TrainingSettings) -> None:
    """Freezes what the recipe names; nothing by default.

    A frozen part's parameters get no gradient and its batch norms keep their running statistics:
    a part whose statistics drift is not frozen. `freeze_batchnorm` does the latter for every batch
    norm of the network; "all" freezes their scales and shifts too. It holds whatever `.train()` is
    called.

    Raises:
        InputError: A part the network does not have.
    """
    require_parts(model, training.freeze, key="training.freeze")
    for name, parameter in model.named_parameters():
        if longest_prefix(name, training.freeze) is not None:
            parameter.requires_grad_(False)
    for layer in _frozen_norms(model, training.freeze, everywhere=training.freeze_batchnorm):
        _keep_statistics(layer)
        if training.freeze_batchnorm == "all":
            layer.requires_grad_(False)


def has_frozen_statistics(layer: nn.Module) -> bool:
    """Whether `freeze` has fixed a batch norm's statistics."""
    return "train" in layer.__dict__


def _frozen_norms(
    model: nn.Module, prefixes: Sequence[str], *, everywhere: str
) -> Iterable[_BatchNorm]:
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and (
            everywhere != "none" or longest_prefix(name, prefixes) is not None
        ):
            yield module


def _keep_statistics(layer: nn.Module) -> None:
    """Evaluation mode that `.train()` on the network, which calls each layer's, cannot end."""
    layer.eval()
    layer.train = MethodType(_stay, layer)  # type: ignore[method-assign]


def _stay(layer: nn.Module, mode: bool = True) -> nn.Module:
    return layer
