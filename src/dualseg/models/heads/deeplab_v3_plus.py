"""DeepLabV3+: ASPP, then a decoder that joins a fine, low-level feature."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.models.backbones.features import FeatureInfo, index_of_stride
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import ASPP, conv_bn_relu, separable_conv_bn_relu

LOW_LEVEL_CHANNELS = 48

Variant = Literal["separable", "standard", "single"]
VARIANTS: tuple[Variant, ...] = ("separable", "standard", "single")


class DeepLabV3PlusHead(nn.Module):
    """ASPP on the deepest feature, upsampled to stride 4, joined with the low-level feature,
    refined.

    Args:
        feature_info: Channels and strides of the features; one must have stride 4.
        atrous_rates: Dilation of each 3x3 ASPP branch, in feature pixels.
        variant: "separable": depthwise separable ASPP branches and two separable 3x3 in the
            decoder, the paper's own choice (its section 4.3); "standard": full convolutions, two
            3x3 with dropout 0.5 and 0.1 (jfzhang's port); "single": full convolutions, one 3x3
            (VainF's port).

    Shape: features -> (B, 256, ceil(H/4), ceil(W/4))

    Raises:
        InputError: No feature at stride 4.

    Source: Chen et al. 2018, arXiv:1802.02611, sections 3.1 and 4.1 (48 low-level channels).
    """

    side_info: tuple[FeatureInfo, ...] = ()
    dropout = 0.0

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        atrous_rates: tuple[int, ...],
        variant: Variant = "separable",
    ):
        super().__init__()
        self.low_level_index = index_of_stride(feature_info, 4, wanted_by="DeepLabV3+")
        self.out_channels = 256
        self.out_stride = 4
        self.aspp = ASPP(
            feature_info[-1].channels,
            256,
            atrous_rates=atrous_rates,
            separable=variant == "separable",
            dropout=0.1 if variant == "single" else 0.5,
        )
        self.low_level = conv_bn_relu(
            feature_info[self.low_level_index].channels, LOW_LEVEL_CHANNELS, 1
        )
        self.fuse = _decoder(256 + LOW_LEVEL_CHANNELS, variant)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        low_level = self.low_level(features[self.low_level_index])
        context = self.aspp(features[-1])
        context = F.interpolate(
            context, size=low_level.shape[-2:], mode="bilinear", align_corners=False
        )
        return HeadOutput(self.fuse(torch.cat([context, low_level], dim=1)))


def _decoder(in_channels: int, variant: Variant) -> nn.Sequential:
    if variant == "separable":
        return nn.Sequential(
            separable_conv_bn_relu(in_channels, 256), separable_conv_bn_relu(256, 256)
        )
    if variant == "single":
        return conv_bn_relu(in_channels, 256)
    return nn.Sequential(
        conv_bn_relu(in_channels, 256), nn.Dropout(0.5), conv_bn_relu(256, 256), nn.Dropout(0.1)
    )
