"""What the shapes of a state dict say about the network they belong to."""

import re
from collections.abc import Mapping

from torch import Tensor

_DEPTHS: dict[tuple[bool, tuple[int, ...]], str] = {
    (False, (2, 2, 2, 2)): "resnet18",
    (False, (3, 4, 6, 3)): "resnet34",
    (True, (3, 4, 6, 3)): "resnet50",
    (True, (3, 4, 23, 3)): "resnet101",
    (True, (3, 8, 36, 3)): "resnet152",
}


def resnet_name(tensors: Mapping[str, Tensor], prefix: str) -> str | None:
    """The ResNet whose blocks stand below `prefix`, such as "backbone."; None if it is none.

    Args:
        tensors: State dict with keys `PREFIXlayer1.0.conv1.weight`.
        prefix: With its dot; empty where the blocks stand at the top.
    """
    is_bottleneck = f"{prefix}layer1.0.conv3.weight" in tensors
    return _DEPTHS.get((is_bottleneck, tuple(count_blocks(tensors, prefix))))


def count_blocks(tensors: Mapping[str, Tensor], prefix: str) -> list[int]:
    """Blocks in each of `layer1` to `layer4`."""
    pattern = re.compile(re.escape(prefix) + r"layer([1-4])\.(\d+)\.")
    last = [-1, -1, -1, -1]
    for name in tensors:
        match = pattern.match(name)
        if match:
            stage = int(match[1]) - 1
            last[stage] = max(last[stage], int(match[2]))
    return [index + 1 for index in last]


def has_all(tensors: Mapping[str, Tensor], *names: str) -> bool:
    """Whether every one of these tensors is there."""
    return all(name in tensors for name in names)


def rows_of(tensors: Mapping[str, Tensor], name: str) -> int:
    """First dimension of a tensor: of a classifier's weight, the number of its classes."""
    return tensors[name].shape[0]
