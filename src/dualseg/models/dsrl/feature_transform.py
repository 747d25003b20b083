"""FTM and subsampling: what makes label features and image features comparable. Training only."""

from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.geometry import Size


class ComparableFeatures(NamedTuple):
    """Both (B, C, h, w), of one shape."""

    seg: Tensor
    sr: Tensor


class FeatureTransform(nn.Module):
    """Feature transform module: 1x1 convolution, batch norm, ReLU on the label side.

    Both sides are average-pooled to 1/`subsampling` of the output's size, for memory. A 1x1
    convolution and average pooling commute, so pooling first only moves the batch norm and the ReLU
    behind the average, and saves a full-size map. In training the batch norm's statistics are then
    those of averages, whose variance is smaller.

    Args:
        seg_channels: Channels of the label-side features.
        sr_channels: Channels of the image-side features.
        subsampling: Output size divided by the size of the compared maps.
        sides: "seg" (the paper: label side only, to the image side's channels), or "both" (as
            sanje2v's port: both sides to one channel).

    Shape: (B, C_seg, ...), (B, C_sr, ...) -> two (B, C, ceil(2H / subsampling), ceil(2W /
        subsampling))

    Source: Wang et al. 2020, section 3.2.
    """

    def __init__(
        self,
        seg_channels: int,
        sr_channels: int,
        *,
        subsampling: int = 8,
        sides: Literal["seg", "both"] = "seg",
    ):
        super().__init__()
        channels = 1 if sides == "both" else sr_channels
        self.subsampling = subsampling
        self.seg = _transform(seg_channels, channels)
        self.sr = _transform(sr_channels, channels) if sides == "both" else nn.Identity()

    def forward(self, seg: Tensor, sr: Tensor, output_size: Size) -> ComparableFeatures:
        size = -(-output_size[0] // self.subsampling), -(-output_size[1] // self.subsampling)
        return ComparableFeatures(self.seg(_pool_to(seg, size)), self.sr(_pool_to(sr, size)))


def _transform(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _pool_to(maps: Tensor, size: Size) -> Tensor:
    """Average pooling to (B, C, *size); bilinear where the map is smaller than that."""
    if tuple(maps.shape[-2:]) == size:
        return maps
    factors = [have // want for have, want in zip(maps.shape[-2:], size, strict=True)]
    if all(have == want * f for have, want, f in zip(maps.shape[-2:], size, factors, strict=True)):
        return F.avg_pool2d(maps, factors)
    if min(factors) >= 1:
        return F.adaptive_avg_pool2d(maps, size)
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
