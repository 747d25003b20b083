"""Which layer of a network is the first to answer differently in another runtime."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from dualseg.export.sessions import ExportPrecision, Session, eager_session

LIMITS: dict[ExportPrecision, float] = {"fp32": 1e-4, "bf16": 0.05, "int8": 0.3}
"""Relative difference from which a layer counts as differing; rounding alone stays below."""


class LayerDifference(NamedTuple):
    """One layer's result, compared.

    Attributes:
        name: Of the module.
        relative: Largest difference by the largest value.
    """

    name: str
    relative: float


class EveryLayer(nn.Module):
    """A network that hands out what each of its leaves gives, in the order they run.

    Args:
        network: Its leaves are watched while `forward` runs.

    Shape: (B, C, h, w) -> one tensor a leaf, then the network's own result
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.names: list[str] = []

    def forward(self, network_input: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        names: list[str] = []

        def keeper(name: str) -> Callable[[nn.Module, Any, Any], None]:
            def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
                if isinstance(output, Tensor):
                    # not the tensor itself, which a ReLU in place would change
                    found.append(output * 1.0)
                    names.append(name)

            return keep

        leaves = [(n, m) for n, m in self.network.named_modules() if not any(m.children())]
        hooks = [module.register_forward_hook(keeper(name)) for name, module in leaves]
        try:
            result = self.network(network_input)
        finally:
            for hook in hooks:
                hook.remove()
        self.names = [*names, "the last resizing"]
        return [*found, result]


def first_difference(
    network: nn.Module,
    inputs: NDArray[np.float32],
    start: Callable[[nn.Module, list[str]], Session],
    precision: ExportPrecision,
) -> LayerDifference | None:
    """The first layer beyond the limit; None where every layer agrees.

    Args:
        network: In evaluation mode.
        inputs: Of the network.
        start: Makes a session of a module with several outputs, whose names it is given.
        precision: Says how much difference rounding explains.
    """
    watched = EveryLayer(network).eval()
    expected = eager_session(watched, "fp32")(inputs)
    outputs = [f"layer_{number}" for number in range(len(expected))]
    names = list(watched.names)
    found = start(watched, outputs)(inputs)
    return _first_beyond(names, expected, found, LIMITS[precision])


def _first_beyond(
    names: Sequence[str],
    expected: Sequence[Tensor],
    found: Sequence[Tensor],
    limit: float,
) -> LayerDifference | None:
    for name, one, other in zip(names, expected, found, strict=True):
        relative = relative_difference(one.numpy(), other.numpy())
        if not relative <= limit:  # NaN too
            return LayerDifference(name.removeprefix("model."), relative)
    return None


def relative_difference(expected: NDArray[Any], found: NDArray[Any]) -> float:
    """Largest difference by the largest value; infinite where shapes differ or a value is NaN."""
    if expected.shape != found.shape:
        return float("inf")
    largest = float(np.abs(expected).max(initial=0.0))
    difference = float(np.abs(expected - found).max(initial=0.0))
    if not np.isfinite(difference):
        return float("inf")
    return difference / max(largest, 1e-12)
