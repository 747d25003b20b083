"""Optimisers whose groups hold every trainable parameter once; their state as named tensors."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import SGD, AdamW, Optimizer

from dualseg.config import TrainingSettings
from dualseg.core.errors import InputError

NORM_LAYERS = (_NormBase, nn.GroupNorm, nn.LayerNorm)

PREFIX = "optimizer"


def create_optimizer(model: nn.Module, settings: TrainingSettings) -> Optimizer:
    """SGD or AdamW over backbone and head, each with and without weight decay.

    Norm layers, biases and other parameters of fewer than two dimensions do not decay. Everything
    outside the backbone learns `head_lr_multiplier` times as fast. Frozen parameters stand in no
    group.

    Raises:
        InputError: No parameter is trainable.
    """
    groups = _groups(model, settings)
    if not groups:
        raise InputError("the network has no trainable parameter; nothing can be learned")
    _require_each_once(model, groups)
    fused = all(p.device.type in ("cpu", "cuda") for group in groups for p in group["params"])
    if settings.optimizer == "adamw":
        return AdamW(groups, fused=fused or None)
    return SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        fused=fused or None,
    )


def set_lr(optimizer: Optimizer, factor: float) -> float:
    """Every group's learning rate becomes its base times `factor`; returns the first group's."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
    return optimizer.param_groups[0]["lr"]


def optimizer_tensors(optimizer: Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimiser's state as `optimizer/KEY/PARAMETER`; rates and decays come from the recipe."""
    tensors = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                tensors[f"{PREFIX}/{key}/{name}"] = torch.as_tensor(value)
    return tensors


def restore_optimizer(
    optimizer: Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """The inverse of `optimizer_tensors`, into an optimiser that has not stepped yet.

    State takes its parameter's memory layout and device, as it had before: kernels for different
    layouts may round differently.

    Raises:
        InputError: State for a parameter that is not there, or of another shape.
    """
    parameters = dict(model.named_parameters())
    for full_name, tensor in tensors.items():
        prefix, _, rest = full_name.partition("/")
        if prefix != PREFIX:
            continue
        key, _, name = rest.partition("/")
        if name not in parameters:
            raise InputError(f"the training state knows a parameter {name!r} that is not there")
        parameter = parameters[name]
        if tensor.ndim and tensor.shape != parameter.shape:
            raise InputError(
                f"the training state of {name} has shape {tuple(tensor.shape)}, "
                f"the parameter has {tuple(parameter.shape)}"
            )
        optimizer.state[parameter][key] = _laid_out_like(parameter, tensor)


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    if tensor.shape != parameter.shape:  # a step count
        return tensor.to(parameter.device) if parameter.device.type != "cpu" else tensor
    return torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)


def _groups(model: nn.Module, settings: TrainingSettings) -> list[dict[str, Any]]:
    """Up to four groups, backbone first."""
    sorted_in: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    seen: set[int] = set()
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(module_name, recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            head = "backbone" not in name.split(".")
            decays = parameter.ndim > 1 and not isinstance(module, NORM_LAYERS)
            sorted_in.setdefault((head, not decays), []).append(parameter)
    groups = []
    for (head, plain), parameters in sorted(sorted_in.items(), key=lambda item: item[0]):
        lr = settings.lr * (settings.head_lr_multiplier if head else 1.0)
        decay = 0.0 if plain else settings.weight_decay
        group = {"params": parameters, "lr": lr, "base_lr": lr, "weight_decay": decay}
        groups.append({**group, "name": ("head" if head else "backbone") + "_plain" * plain})
    return groups


def _require_each_once(model: nn.Module, groups: list[dict[str, Any]]) -> None:
    in_groups = sorted(id(parameter) for group in groups for parameter in group["params"])
    trainable = sorted(id(parameter) for parameter in model.parameters() if parameter.requires_grad)
    assert in_groups == trainable, (
        "a trainable parameter is missing from the groups or stands twice"
    )
