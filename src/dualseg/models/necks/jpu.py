"""Joint pyramid upsampling: a stride-8 feature without a dilated backbone."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.models.backbones.features import FeatureInfo, index_of_stride
from dualseg.models.layers import conv_bn_relu

STRIDES = (8, 16, 32)
DILATIONS = (1, 2, 4, 8)


class JPU(nn.Module):
    """Joins the features at strides 8, 16 and 32 at stride 8, seen through four dilations.

    Args:
        feature_info: Channels and strides of the backbone's features.
        width: Channels of each reduced feature and of each dilated branch.
        align_corners: Of the enlargement to stride 8 (mmsegmentation False, FastFCN True).

    Shape: features -> the same, but the last is (B, 4 * width, ceil(H/8), ceil(W/8))

    Raises:
        InputError: No feature at stride 8, 16 or 32.

    Source: Wu et al. 2019, arXiv:1903.11816, section 3.3. The reduced features are joined fine to
        coarse, as mmsegmentation (FastFCN: coarse to fine).
    """

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        width: int = 512,
        align_corners: bool = False,
    ):
        super().__init__()
        self.indices = [index_of_stride(feature_info, s, wanted_by="neck jpu") for s in STRIDES]
        self.align_corners = align_corners
        self.reduce = nn.ModuleList(
            conv_bn_relu(feature_info[index].channels, width) for index in self.indices
        )
        self.dilated = nn.ModuleList(
            _separable(len(STRIDES) * width, width, dilation) for dilation in DILATIONS
        )
        joined = FeatureInfo(len(DILATIONS) * width, STRIDES[0])
        self.feature_info = (*feature_info[:-1], joined)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        reduced = [reduce(features[i]) for i, reduce in zip(self.indices, self.reduce, strict=True)]
        enlarged = [
            F.interpolate(
                maps,
                size=reduced[0].shape[-2:],
                mode="bilinear",
                align_corners=self.align_corners,
            )
            for maps in reduced[1:]
        ]
        pyramid = torch.cat([reduced[0], *enlarged], dim=1)  # (B, 3 * width, H/8, W/8)
        joined = torch.cat([branch(pyramid) for branch in self.dilated], dim=1)
        return [*features[:-1], joined]


def _separable(in_channels: int, out_channels: int, dilation: int) -> nn.Sequential:
    """Depthwise 3x3, batch norm, pointwise 1x1, batch norm, ReLU: no ReLU between."""
    depthwise = nn.Conv2d(
        in_channels,
        in_channels,
        3,
        padding=dilation,
        dilation=dilation,
        groups=in_channels,
        bias=False,
    )
    return nn.Sequential(
        depthwise,
        nn.BatchNorm2d(in_channels),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
