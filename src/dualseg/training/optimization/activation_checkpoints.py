"""Less memory for more time: a backbone's blocks are computed again when their gradient is due."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from timm.models.regnet import RegStage
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from dualseg.core.errors import InputError

LISTS = (nn.Sequential, nn.ModuleList)
# timm's feature extractors are dictionaries of stages; a RegNet's stage holds its blocks by name. A
# DLA's does too, but half of what it keeps lies between them, so that it is a block as a whole.
CONTAINERS = (*LISTS, nn.ModuleDict, RegStage)
WORKERS = (nn.modules.conv._ConvNd, nn.Linear)
FEWEST_BLOCKS = 8  # fewer are the stages of a network
PROBE_SIZE = 64


def checkpoint_activations(backbone: nn.Module, *, in_channels: int = 3) -> int:
    """Keeps only the borders between blocks during the forward pass.

    A block is the outermost module inside a list, sequence, dictionary or stage of a RegNet that
    has two convolutions or linear layers. Where there are fewer than eight, they are stages, or the
    whole of a network that a feature extractor wraps; what stands in lists inside them are the
    blocks then. Gradients, dropout and running statistics are those of a plain pass.

    Args:
        backbone: Called with one image of zeros to see which blocks it calls.
        in_channels: Bands of its images.

    Returns:
        How many blocks are computed again.

    Raises:
        InputError: There are none.

    Source: Chen et al. 2016, arXiv:1604.06174 ("sublinear memory cost").
    """
    found = _called(_divided(list(_blocks(backbone, CONTAINERS))), backbone, in_channels)
    if not found:
        raise InputError(
            "training.checkpoint_activations: this backbone has no blocks to compute again; "
            "use training.checkpoint_activations=false"
        )
    for block in found:
        block.forward = _Recomputed(block, block.forward)  # type: ignore[method-assign]
    return len(found)


def _blocks(
    module: nn.Module, containers: tuple[type[nn.Module], ...], *, in_container: bool = False
) -> Iterator[nn.Module]:
    for child in module.children():
        is_container = isinstance(child, containers)
        if in_container and not is_container and _num_workers(child) >= 2:
            yield child
        else:
            is_inside = is_container or isinstance(module, containers)
            yield from _blocks(child, containers, in_container=is_inside)


def _divided(blocks: list[nn.Module]) -> list[nn.Module]:
    """The blocks inside the stages, where these few are stages and consist of blocks mostly."""
    if len(blocks) >= FEWEST_BLOCKS:
        return blocks
    divided: list[nn.Module] = []
    for stage in blocks:
        inner = list(_blocks(stage, LISTS))
        has_most = 2 * sum(map(_num_workers, inner)) >= _num_workers(stage)
        divided += inner if has_most else [stage]
    was_whole = len(blocks) == 1 and divided != blocks  # what came out may be stages again
    return _divided(divided) if was_whole else divided


def _num_workers(module: nn.Module) -> int:
    return sum(isinstance(layer, WORKERS) for layer in module.modules())


@torch.no_grad()
def _called(blocks: list[nn.Module], backbone: nn.Module, in_channels: int) -> list[nn.Module]:
    """Those that a forward pass calls: a module may also be used part by part."""
    called: set[nn.Module] = set()
    hooks = [block.register_forward_pre_hook(lambda it, _: called.add(it)) for block in blocks]
    training = {module: module.training for module in backbone.modules()}
    weight = next(backbone.parameters())
    try:
        backbone.eval()  # statistics and the random numbers' state stay
        backbone(weight.new_zeros(1, in_channels, PROBE_SIZE, PROBE_SIZE))
    finally:
        for module, was_training in training.items():
            module.training = was_training
        for hook in hooks:
            hook.remove()
    return [block for block in blocks if block in called]


class _Recomputed:
    """A block's forward that forgets what lies inside it."""

    def __init__(self, block: nn.Module, forward: Callable[..., Any]):
        self.block = block
        self.forward = forward

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if not (self.block.training and torch.is_grad_enabled()):
            return self.forward(*inputs, **options)
        return checkpoint(
            self.forward, *inputs, use_reentrant=False, context_fn=self._contexts, **options
        )

    def _contexts(self) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        return nullcontext(), _statistics_kept(self.block)


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """The second pass over a batch must not move the running statistics again."""
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm) and m.training]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    before = [None if count is None else count.clone() for count in counts]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count, old in zip(norms, momenta, counts, before, strict=True):
            norm.momentum = momentum
            if count is not None and old is not None:
                count.copy_(old)
