"""EfficientNet weights under the names of EfficientNet-PyTorch, renamed to timm's."""

import re
from collections.abc import Collection, Mapping

from timm.layers import Conv2dSame
from torch import Tensor, nn

_STEM = "_conv_stem."  # begins a name that no other networks have

_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(.+)")
_TIMM_BLOCK = re.compile(r"blocks\.(\d+)\.(\d+)\.")

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


def has_their_names(weights: Mapping[str, Tensor]) -> bool:
    """Whether the names are EfficientNet-PyTorch's."""
    return any(name.startswith(_STEM) for name in weights)


def pads_as_tensorflow(body: nn.Module) -> bool:
    """Whether it is one of timm's `tf_...` networks: an odd zero goes to the right and below."""
    return any(isinstance(layer, Conv2dSame) for layer in body.modules())


def with_timm_names(weights: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """EfficientNet-PyTorch's weights as timm names them.

    They number the blocks of all stages in one row, timm stage by stage; `wanted` says how long
    its stages are.

    Args:
        weights: Tensors by their names.
        wanted: Names of timm's network. A name that has no counterpart there is kept, so that
            whoever loads them refuses it.

    Source: https://github.com/lukemelas/EfficientNet-PyTorch and, for the Lite networks,
        https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch (both Apache-2.0). Their
        weights come from TensorFlow, so they belong to timm's `tf_efficientnet_...`, whose padding
        and batch norm are TensorFlow's: `pads_as_tensorflow`.
    """
    blocks = filter(None, map(_TIMM_BLOCK.match, wanted))
    places = sorted({(int(block[1]), int(block[2])) for block in blocks})
    layers = filter(None, map(_BLOCK.fullmatch, weights))
    expanded = {int(layer[1]) for layer in layers if layer[2] == "_expand_conv"}

    def renamed(name: str) -> str:
        block = _BLOCK.fullmatch(name)
        if not block:
            layer, _, rest = name.partition(".")
            return f"{_AROUND[layer]}.{rest}" if layer in _AROUND else name
        number, layer, rest = int(block[1]), block[2], block[3]
        known = _EXPANDED if number in expanded else _UNEXPANDED
        if number >= len(places) or layer not in known:
            return name
        stage, index = places[number]
        return f"blocks.{stage}.{index}.{known[layer]}.{rest}"

    return {renamed(name): tensor for name, tensor in weights.items()}
