"""What DenseNets are made of: stems, dense layers, transitions."""

from typing import Literal

import torch
from torch import Tensor, nn

from dualseg.models.layers import SqueezeExcite

BOTTLENECK = 4  # a 1x1 of four times the growth stands before every 3x3

Stem = Literal["standard", "deep"]


def stem_convolutions(
    kind: Stem, channels: int, *, with_norm: bool, in_channels: int = 3
) -> nn.Sequential:
    """One 7x7, or three 3x3 of 64, 64 and 128 channels; the first one has stride 2.

    Without norm they have biases, and no ReLU either.
    """
    plan = ((in_channels, 64, 3, 2), (64, 64, 3, 1), (64, 128, 3, 1))
    if kind == "standard":
        plan = ((in_channels, channels, 7, 2),)
    layers: list[nn.Module] = []
    for entering, out_channels, size, stride in plan:
        around = {"stride": stride, "padding": size // 2, "bias": not with_norm}
        layers.append(nn.Conv2d(entering, out_channels, size, **around))
        if with_norm:
            layers += [nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def dense_block(
    in_channels: int, length: int, growth: int, dilation: int, squeeze_excite: int | None
) -> nn.Sequential:
    """`length` dense layers of one dilation, each of which adds `growth` channels."""
    return nn.Sequential(
        *(
            DenseLayer(in_channels + i * growth, growth, dilation, squeeze_excite)
            for i in range(length)
        )
    )


class DenseLayer(nn.Module):
    """Batch norm, ReLU, 1x1, batch norm, ReLU, 3x3; the result is appended to the input.

    Shape: (B, C, h, w) -> (B, C + growth, h, w)
    """

    def __init__(self, in_channels: int, growth: int, dilation: int, squeeze_excite: int | None):
        super().__init__()
        width = BOTTLENECK * growth
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, growth, 3, padding=dilation, dilation=dilation, bias=False)
        self.gate = _gate(growth, squeeze_excite)

    def forward(self, maps: Tensor) -> Tensor:
        new = self.conv1(torch.relu(self.norm1(maps)))
        new = self.gate(self.conv2(torch.relu(self.norm2(new))))
        return torch.cat([maps, new], dim=1)


def pooled_transition(
    in_channels: int,
    out_channels: int,
    *,
    shrinks: bool,
    averages: bool,
    squeeze_excite: int | None,
    dilation: int = 1,
) -> nn.Sequential:
    """Batch norm, ReLU and a 1x1; then 2x2 averages, of stride 2 where it shrinks; then a gate.

    Where it averages without shrinking, the four values stand `dilation` apart.
    """
    layers = _norm_relu_conv(in_channels, out_channels, 1)
    if shrinks:
        layers.append(nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False))
    elif averages:
        layers.append(SameAverage(dilation))
    if squeeze_excite is not None:
        layers.append(SqueezeExcite(out_channels, squeeze_excite))
    return nn.Sequential(*layers)


class SameAverage(nn.Module):
    """Average of four values `dilation` apart, to the right and down; an edge's of what there is.

    Shape: (B, C, h, w) -> the same
    """

    def __init__(self, dilation: int):
        super().__init__()
        self.dilation = dilation

    def forward(self, maps: Tensor) -> Tensor:
        reach = self.dilation
        maps = (maps + torch.cat([maps[..., reach:], maps[..., -reach:]], dim=-1)) / 2
        return (maps + torch.cat([maps[..., reach:, :], maps[..., -reach:, :]], dim=-2)) / 2


class ResidualTransition(nn.Module):
    """1x1 to a quarter of the channels, 3x3 with the stride, 1x1 back, gate; added to the input.

    Where it shrinks, the input passes a strided 1x1. Batch norm and ReLU stand before all of them.

    Shape: (B, C, h, w) -> (B, C, h', w'), half as large, rounded up, if it shrinks
    """

    def __init__(self, channels: int, *, shrinks: bool, squeeze_excite: int | None):
        super().__init__()
        width, stride = channels // 4, 2 if shrinks else 1
        self.branch = nn.Sequential(
            *_norm_relu_conv(channels, width, 1),
            *_norm_relu_conv(width, width, 3, stride=stride),
            *_norm_relu_conv(width, channels, 1),
            _gate(channels, squeeze_excite),
        )
        self.shortcut = nn.Identity()
        if shrinks:
            self.shortcut = nn.Sequential(*_norm_relu_conv(channels, channels, 1, stride=2))

    def forward(self, maps: Tensor) -> Tensor:
        return self.branch(maps) + self.shortcut(maps)


def _norm_relu_conv(
    in_channels: int, out_channels: int, size: int, *, stride: int = 1
) -> list[nn.Module]:
    return [
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(in_channels, out_channels, size, stride=stride, padding=size // 2, bias=False),
    ]


def _gate(channels: int, squeeze_excite: int | None) -> nn.Module:
    return nn.Identity() if squeeze_excite is None else SqueezeExcite(channels, squeeze_excite)
