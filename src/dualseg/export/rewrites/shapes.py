"""The shapes of what every module is given, found without computing anything."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from dualseg.core.geometry import Size
from dualseg.export.rewrites.copying import shared_copy

Shapes = tuple[tuple[int, ...], ...]


@torch.no_grad()
def input_shapes(model: nn.Module, size: Size, batch: int = 1) -> dict[str, Shapes]:
    """For each module that is called, by name, the shapes of its tensors at its first call.

    Args:
        model: Left as it is; a copy without data is run.
        size: (height, width) of the images.
        batch: Of them.
    """
    shapes: dict[str, Shapes] = {}
    empty = shared_copy(model).to("meta")
    for name, module in empty.named_modules():

        def note(_: nn.Module, inputs: Any, name: str = name) -> None:
            tensors = [leaf for leaf in tree_flatten(inputs)[0] if isinstance(leaf, Tensor)]
            shapes.setdefault(name, tuple(tuple(tensor.shape) for tensor in tensors))

        module.register_forward_pre_hook(note)
    in_channels = getattr(model, "architecture", {}).get("in_channels", 3)
    empty(torch.empty(batch, in_channels, *size, device="meta"))
    return shapes
