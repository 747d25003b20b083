"""Less memory for more time: a backbone's blocks are computed again when their gradient is due."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from dualseg.core.errors import InputError

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
WORKERS = (nn.modules.conv._ConvNd, nn.Linear)


def checkpoint_activations(backbone: nn.Module) -> int:
    """Keeps only the borders between blocks during the forward pass.

    A block is the outermost module inside a list or sequence that has two convolutions or linear
    layers. Gradients, dropout and running statistics are those of a plain pass.

    Returns:
        How many blocks were found.

    Raises:
        InputError: None was.

    Source: Chen et al. 2016, arXiv:1604.06174 ("sublinear memory cost").
    """
    found = list(_blocks(backbone, in_container=False))
    if not found:
        raise InputError(
            "training.checkpoint_activations: this backbone has no blocks to compute again; "
            "use training.checkpoint_activations=false"
        )
    for block in found:
        block.forward = _Recomputed(block, block.forward)  # type: ignore[method-assign]
    return len(found)


def _blocks(module: nn.Module, *, in_container: bool) -> Iterator[nn.Module]:
    for child in module.children():
        is_container = isinstance(child, CONTAINERS)
        if in_container and not is_container and _num_workers(child) >= 2:
            yield child
        else:
            yield from _blocks(child, in_container=is_container or isinstance(module, CONTAINERS))


def _num_workers(module: nn.Module) -> int:
    return sum(isinstance(layer, WORKERS) for layer in module.modules())


class _Recomputed:
    """A block's forward that forgets what lies inside it."""

    def __init__(self, block: nn.Module, forward: Callable[..., Any]):
        self.block = block
        self.forward = forward

    def __call__(self, *inputs: Any) -> Any:
        if not (self.block.training and torch.is_grad_enabled()):
            return self.forward(*inputs)
        return checkpoint(self.forward, *inputs, use_reentrant=False, context_fn=self._contexts)

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
