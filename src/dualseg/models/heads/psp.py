"""PSPNet: the feature beside its own averages over four grids."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.features import FeatureInfo, index_of_stride
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import conv_bn_relu, pooled_conv_bn_relu

SMP_CHANNELS = 512


class PSPHead(nn.Module):
    """Pyramid pooling, joined with the feature it was made of, fused by one convolution.

    Args:
        feature_info: Channels and strides of the features it is given.
        variant: "standard": on the deepest feature, fused by a 3x3 (the paper, mmsegmentation,
            FastFCN); "smp": on the first feature at stride 8, the coarsest level a convolution with
            bias and no batch norm, fused by a 1x1 to 512 channels. segmentation_models_pytorch
            calls that PSPNet, but most of the backbone stays unread: another network. Its
            classifier is a 3x3 (`classifier_size`).
        pool_sizes: Side of each grid, in cells.
        channels: Of the result, and in "standard" of each level; a quarter of the feature's where
            not given (512 in "smp", whose levels share the feature's channels among them).
        align_corners: Of the resizing of the levels.

    Shape: (B, C, H/s, W/s) -> (B, channels, H/s, W/s).  s: stride of the feature read

    Raises:
        InputError: pool_sizes is empty or holds a value below 1; "smp" without a feature at
            stride 8.

    Source: Zhao et al. 2017, arXiv:1612.01105, section 3.2.
    """

    side_info: tuple[FeatureInfo, ...] = ()

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        variant: Literal["standard", "smp"] = "standard",
        pool_sizes: tuple[int, ...] = (1, 2, 3, 6),
        channels: int | None = None,
        align_corners: bool = False,
    ):
        super().__init__()
        if not pool_sizes or min(pool_sizes) < 1:
            raise InputError(
                f"pool_sizes {pool_sizes} must hold at least one grid size, each 1 or more"
            )
        is_smp = variant == "smp"
        self.index = _first_at_stride_8(feature_info) if is_smp else -1
        in_channels, self.out_stride = feature_info[self.index]
        self.out_channels = channels or (SMP_CHANNELS if is_smp else max(1, in_channels // 4))
        width = in_channels // len(pool_sizes) if is_smp else self.out_channels
        self.dropout = 0.2 if is_smp else 0.1
        self.classifier_size = 3 if is_smp else 1
        self.pool_sizes = tuple(pool_sizes)
        self.align_corners = align_corners
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(in_channels, width, 1), nn.ReLU(inplace=True))
            if is_smp and size == 1
            else pooled_conv_bn_relu(in_channels, width)
            for size in pool_sizes
        )
        joined = in_channels + width * len(pool_sizes)
        self.fuse = conv_bn_relu(joined, self.out_channels, 1 if is_smp else 3)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        feature = features[self.index]
        levels = [
            F.interpolate(
                level(F.adaptive_avg_pool2d(feature, size)),
                size=feature.shape[-2:],
                mode="bilinear",
                align_corners=self.align_corners,
            )
            for level, size in zip(self.levels, self.pool_sizes, strict=True)
        ]
        return HeadOutput(self.fuse(torch.cat([feature, *levels], dim=1)))


def _first_at_stride_8(feature_info: Sequence[FeatureInfo]) -> int:
    """At output stride 8 the deeper stages have it too; they are not meant."""
    index_of_stride(feature_info, 8, wanted_by="head_variant smp of PSPNet")
    return [info.stride for info in feature_info].index(8)
