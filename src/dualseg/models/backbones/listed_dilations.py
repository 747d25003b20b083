"""Dilations that no rule gives: one by one, by the name of the convolution."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from dualseg.core.errors import InputError, first_few, nearest
from dualseg.models.option_values import checked_value


def set_dilations(body: nn.Module, dilations: Mapping[str, int]) -> None:
    """Gives the named convolutions these dilations, and every other one 1, in place.

    The strides stay as they are, so that a stage may shrink its map and be dilated too
    (mmsegmentation's FastFCN and PSPNet-D32), or be dilated in its first block alone (its
    MobileNetV2) or in the first of two convolutions of a block (its ResNet-18).

    Args:
        body: A backbone; the convolutions whose dilation changes pad half of what they see.
        dilations: Such as `{"layer4.0.conv2": 2}`; names are those inside `body`.

    Raises:
        InputError: No mapping, no such convolution with a kernel larger than 1, or a dilation
            below 1.
    """
    dilations = checked_value("backbone option 'dilations'", dict[str, Any], dilations)
    spatial = {
        name: module
        for name, module in body.named_modules()
        if isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1
    }
    problems = [
        f"{name}: there is no such convolution; {nearest(name, spatial)}"
        for name in dilations
        if name not in spatial
    ] + [
        f"{name}: {value!r} must be a whole number of at least 1"
        for name, value in dilations.items()
        if isinstance(value, bool) or not isinstance(value, int) or value < 1
    ]
    if problems:
        raise InputError("backbone option dilations:", first_few(problems))
    for name, convolution in spatial.items():
        dilation = dilations.get(name, 1)
        if convolution.dilation == (dilation, dilation):
            continue  # its padding too stays as it is: a 4x4 that cuts patches has none
        convolution.dilation = (dilation, dilation)
        convolution.padding = tuple(dilation * (side // 2) for side in convolution.kernel_size)
