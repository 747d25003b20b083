"""Which operation reads what: one pass is watched, and every module's part in it is known.

Nothing is traced symbolically, so every network that runs can be watched.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from dualseg.core.geometry import Size

PROBE_SIZE = (64, 96)


class Operation(NamedTuple):
    """Storages an operation reads and those it writes; a view or an in-place result is the storage
    it lies in."""

    reads: frozenset[int]
    writes: frozenset[int]


class Call(NamedTuple):
    """One call of a module.

    Attributes:
        name: Of the module.
        first, end: Its operations, among all.
        inputs: Storages of the tensors it was given.
        outputs: Storages of those it returned.
        is_plain: One tensor in, one tensor out.
    """

    name: str
    first: int
    end: int
    inputs: frozenset[int]
    outputs: frozenset[int]
    is_plain: bool


@dataclass
class Flow:
    """One pass.

    Attributes:
        operations: In the order they ran.
        calls: Of every module, inner calls before the outer one.
        results: Storages of what the network returned.
    """

    operations: list[Operation] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    results: frozenset[int] = frozenset()

    def readers(self, storages: frozenset[int]) -> list[int]:
        """The operations that read any of these."""
        return [n for n, operation in enumerate(self.operations) if operation.reads & storages]

    def live(self) -> list[bool]:
        """For every operation, whether the network's results depend on it."""
        needed = set(self.results)
        alive = [False] * len(self.operations)
        for number in range(len(self.operations) - 1, -1, -1):
            operation = self.operations[number]
            if operation.writes & needed:
                alive[number] = True
                needed |= operation.reads
        return alive


@torch.no_grad()
def observe(model: nn.Module, size: Size = PROBE_SIZE) -> Flow:
    """Runs the network in evaluation mode on an image of noise and writes down what happens.

    Args:
        model: Left as it is.
        size: (height, width) of the image; every module must be called at it.
    """
    flow, recorder = Flow(), _Recorder()
    names = {module: name for name, module in model.named_modules()}
    starts: list[int] = []

    def before(module: nn.Module, *_: Any) -> None:
        starts.append(len(recorder.operations))

    def after(module: nn.Module, inputs: Any, output: Any) -> None:
        given, returned = _tensors(inputs), _tensors(output)
        recorder.kept += given + returned
        flow.calls.append(
            Call(
                names[module],
                starts.pop(),
                len(recorder.operations),
                _storages(given),
                _storages(returned),
                len(given) == 1 and isinstance(output, Tensor),
            )
        )

    hooks = [m.register_forward_pre_hook(before) for m in model.modules()]
    hooks += [m.register_forward_hook(after) for m in model.modules()]
    was_training = model.training
    model.eval()
    try:
        images = noise(model, size)
        with recorder:
            flow.results = _storages(_tensors(model(images)))
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    flow.operations = recorder.operations
    return flow


def noise(model: nn.Module, size: Size, *, batch: int = 1) -> Tensor:
    """Images (batch, C, *size) of normal noise for a network, always the same."""
    in_channels = getattr(model, "architecture", {}).get("in_channels", 3)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, in_channels, *size, generator=generator)


class _Recorder(TorchDispatchMode):
    """Keeps every tensor, lest another gets its place in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.kept: list[Tensor] = []

    def __torch_dispatch__(  # type: ignore[override]
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given, returned = _tensors((args, kwargs)), _tensors(result)
        self.kept += given + returned
        self.operations.append(Operation(_storages(given), _storages(returned)))
        return result


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Tensor)]


def _storages(tensors: list[Tensor]) -> frozenset[int]:
    return frozenset(tensor.untyped_storage().data_ptr() for tensor in tensors)
