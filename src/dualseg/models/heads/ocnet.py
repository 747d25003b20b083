"""OCNet: every position described by the positions that look like it, its object."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.models.attention import attend, positions
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import Activation, conv_bn_relu, pooled_conv_bn_relu

GRIDS = (1, 2, 3, 6)  # regions a side, of the pyramid
RATES = (12, 24, 36)  # of ASP's dilated branches
Variant = Literal["base", "pyramid", "asp"]


class OCNetHead(nn.Module):
    """A 3x3 convolution, then object context joined with what it was made of.

    Args:
        feature_info: Channels and strides of the features it is given.
        variant: "base": attention among all positions; "pyramid": inside each region of four grids;
            "asp": among all positions at half the size, beside a 1x1 and three dilated branches.
        channels: Of the 3x3 convolution and of the result.
        activation: After every batch norm: "leaky_relu" in the authors' code (in-place activated
            batch norm); its pyramid has none after the first convolution.
        align_corners: Of ASP's enlargement; the authors' code sets it.

    Shape: features[-1] (B, C, H/s, W/s) -> (B, channels, H/s, W/s)

    Source: Yuan et al. 2018, arXiv:1809.00916, section 3, with the widths of the authors' code.
    """

    side_info: tuple[FeatureInfo, ...] = ()

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        variant: Variant = "base",
        channels: int = 512,
        activation: Activation = "leaky_relu",
        align_corners: bool = False,
    ):
        super().__init__()
        in_channels, self.out_stride = feature_info[-1]
        self.out_channels = channels
        self.dropout = 0.1 if variant == "asp" else 0.05
        first = "none" if variant == "pyramid" else activation
        self.reduce = conv_bn_relu(in_channels, channels, activation=first)
        self.context: nn.Module
        if variant == "base":
            self.context = BaseContext(channels, activation=activation)
        elif variant == "pyramid":
            self.context = PyramidContext(channels, activation=activation)
        else:
            self.context = ASPContext(channels, activation=activation, align_corners=align_corners)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        return HeadOutput(self.context(self.reduce(features[-1])))


class BaseContext(nn.Module):
    """Attention among all positions, joined with its input.

    Shape: (B, C, h, w) -> (B, C, h, w)

    Source: Yuan et al. 2018, section 3.2 (base-OC).
    """

    def __init__(self, channels: int, *, activation: Activation):
        super().__init__()
        half = max(1, channels // 2)
        self.attention = SelfAttention(channels, half, half, activation=activation)
        self.fuse = conv_bn_relu(2 * channels, channels, 1, activation=activation)

    def forward(self, maps: Tensor) -> Tensor:
        return self.fuse(torch.cat([self.attention(maps), maps], dim=1))


class PyramidContext(nn.Module):
    """Attention inside the regions of four grids, joined with its input, widened to their channels.

    Shape: (B, C, h, w) -> (B, C, h, w)

    Source: Yuan et al. 2018, section 3.2 (pyramid-OC).
    """

    def __init__(self, channels: int, *, activation: Activation):
        super().__init__()
        key_channels = max(1, channels // 2)
        self.attentions = nn.ModuleList(
            SelfAttention(channels, key_channels, channels, grid=grid, activation=activation)
            for grid in GRIDS
        )
        width = len(GRIDS) * channels
        self.widen = conv_bn_relu(channels, width, 1, activation=activation)
        self.fuse = conv_bn_relu(2 * width, channels, 1, activation=activation)

    def forward(self, maps: Tensor) -> Tensor:
        contexts = [attention(maps) for attention in self.attentions]
        return self.fuse(torch.cat([self.widen(maps), *contexts], dim=1))


class ASPContext(nn.Module):
    """Attention at half the size in place of ASPP's image pooling.

    Shape: (B, C, h, w) -> (B, C, h, w)

    Source: Yuan et al. 2018, section 3.2 (ASP-OC).
    """

    def __init__(self, channels: int, *, activation: Activation, align_corners: bool):
        super().__init__()
        half = max(1, channels // 2)
        key_channels = max(1, half // 2)
        self.align_corners = align_corners
        self.reduce = conv_bn_relu(channels, half, activation=activation)
        self.attention = SelfAttention(half, key_channels, half, activation=activation)
        self.project = conv_bn_relu(half, half, 1, activation=activation)
        self.branches = nn.ModuleList(
            [conv_bn_relu(channels, half, 1, activation=activation)]
            + [conv_bn_relu(channels, half, dilation=r, activation=activation) for r in RATES]
        )
        joined = half * (1 + len(self.branches))
        self.fuse = conv_bn_relu(joined, channels, 1, activation=activation)

    def forward(self, maps: Tensor) -> Tensor:
        height, width = maps.shape[-2:]
        halved = F.max_pool2d(self.reduce(maps), (min(2, height), min(2, width)))
        context = F.interpolate(
            self.attention(halved),
            size=(height, width),
            mode="bilinear",
            align_corners=self.align_corners,
        )
        branches = [self.project(context), *(branch(maps) for branch in self.branches)]
        return self.fuse(torch.cat(branches, dim=1))


class SelfAttention(nn.Module):
    """For every position of a region, a weighted sum of the region's values, then a linear layer.

    Queries are the keys. The linear layer starts at 0, and so does the context.

    Args:
        channels: Of input and result.
        key_channels: Of queries and keys.
        value_channels: Of values.
        grid: Regions a side; all but the last of a side have floor(side / grid) positions.
        activation: Of the keys.

    Shape: (B, C, h, w) -> (B, C, h, w)

    Source: Yuan et al. 2018, section 3.1.
    """

    def __init__(
        self,
        channels: int,
        key_channels: int,
        value_channels: int,
        *,
        grid: int = 1,
        activation: Activation,
    ):
        super().__init__()
        self.grid = grid
        self.scale = key_channels**-0.5
        self.key = pooled_conv_bn_relu(channels, key_channels, activation=activation)
        self.value = nn.Conv2d(channels, value_channels, 1)
        self.output = nn.Linear(value_channels, channels)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, maps: Tensor) -> Tensor:
        key, value = self.key(maps), self.value(maps)
        rows = [
            torch.cat([self._attend(k, v) for k, v in zip(keys, values, strict=True)], dim=2)
            for keys, values in zip(self._regions(key), self._regions(value), strict=True)
        ]
        context = torch.cat(rows, dim=1)  # (B, h, w, value_channels)
        return self.output(context).permute(0, 3, 1, 2)

    def _attend(self, key: Tensor, value: Tensor) -> Tensor:
        """One region: (B, D, h, w), (B, C, h, w) -> (B, h, w, C)"""
        key_vectors = positions(key)
        attended = attend(key_vectors, key_vectors, positions(value), scale=self.scale)
        return attended.unflatten(1, value.shape[-2:])

    def _regions(self, maps: Tensor) -> list[tuple[Tensor, ...]]:
        height, width = _spans(maps.shape[2], self.grid), _spans(maps.shape[3], self.grid)
        return [row.split(width, dim=3) for row in maps.split(height, dim=2)]


def _spans(size: int, parts: int) -> list[int]:
    """The last takes what is left over; of a map smaller than the grid it is all there is."""
    each = size // parts
    spans = [each] * (parts - 1) + [size - each * (parts - 1)]
    return [span for span in spans if span > 0]
