"""What published ResNets differ in: the stem, the shortcut, and where the stride sits.

Stem "b" is one 7x7 convolution of width 64; the others are three 3x3. The letters are MXNet's
(gluon-cv), which timm and mmsegmentation took over.
"""

from typing import Any, Literal

from torch import nn

from dualseg.core.errors import InputError

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
StrideOn = Literal["3x3", "1x1"]

# timm's arguments. avg_down: the shortcut shrinks by 2x2 average pooling before its 1x1.
STEMS: dict[str, dict[str, Any]] = {
    "b": {},
    "c": {"stem_type": "deep", "stem_width": 32},
    "d": {"stem_type": "deep", "stem_width": 32, "avg_down": True},
    "s": {"stem_type": "deep", "stem_width": 64},
    "e": {"stem_type": "deep", "stem_width": 64, "avg_down": True},
}


def stride_on_first_1x1(body: nn.Module, name: str) -> None:
    """Moves each bottleneck's stride from its 3x3 to its first 1x1, in place.

    Source: He et al. 2015, arXiv:1512.03385, as the Caffe models of DeepLab v2 are.

    Raises:
        InputError: The network has no bottlenecks.
    """
    bottlenecks = [module for module in body.modules() if hasattr(module, "conv3")]
    if not bottlenecks:
        raise InputError(
            f"stride_on 1x1 is for bottlenecks, which {name} has none of; use resnet50, "
            "resnet101 or resnet152, or leave it out"
        )
    for block in bottlenecks:
        first, middle = block.conv1, block.conv2
        assert isinstance(first, nn.Conv2d)
        assert isinstance(middle, nn.Conv2d)
        first.stride, middle.stride = middle.stride, (1, 1)


def round_pooling_up(body: nn.Module) -> None:
    """Lets the stem's max pooling keep a last, partly filled window, in place.

    At even sizes every feature then has up to one row and column more than ceil(H / stride).
    """
    assert isinstance(body.maxpool, nn.MaxPool2d)
    body.maxpool.ceil_mode = True
