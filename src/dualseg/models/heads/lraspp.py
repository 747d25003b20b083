"""Lite R-ASPP: a gated deep feature beside a fine one, for small devices."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.models.backbones.features import FeatureInfo, index_of_stride
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import conv_bn_relu


class LRASPPHead(nn.Module):
    """The deepest feature narrowed and weighed by its own averages, then the stride-8 feature.

    The paper adds the scores of two 1x1 classifiers, one on each map. One 1x1 classifier on both
    maps side by side is the same function: its weights are theirs side by side, its bias is the
    sum of theirs.

    Args:
        feature_info: Channels and strides of the features it is given; one must have stride 8.
        channels: Of the narrowed deepest feature.
        align_corners: Of its enlargement.

    Shape: features -> (B, channels + C_8, ceil(H/8), ceil(W/8)); the deepest feature's channels
        first.  C_8: channels of the first feature at stride 8

    Raises:
        InputError: No feature at stride 8 before the deepest one.

    Source: Howard et al. 2019, arXiv:1905.02244, section 6.4. Differs, as torchvision: pooled over
        the whole map where the paper pools 49x49 windows.
    """

    side_info: tuple[FeatureInfo, ...] = ()
    dropout = 0.0

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        channels: int = 128,
        align_corners: bool = False,
    ):
        super().__init__()
        finer = feature_info[:-1]
        index_of_stride(finer, 8, wanted_by="LR-ASPP")
        self.low_level_index = [info.stride for info in finer].index(8)
        low_level, deepest = feature_info[self.low_level_index], feature_info[-1]
        self.out_channels = channels + low_level.channels
        self.out_stride = low_level.stride
        self.align_corners = align_corners
        self.narrow = conv_bn_relu(deepest.channels, channels, 1)
        self.gate = nn.Conv2d(deepest.channels, channels, 1, bias=False)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        low_level, deepest = features[self.low_level_index], features[-1]
        weights = torch.sigmoid(self.gate(deepest.mean(dim=(2, 3), keepdim=True)))
        context = F.interpolate(
            self.narrow(deepest) * weights,
            size=low_level.shape[-2:],
            mode="bilinear",
            align_corners=self.align_corners,
        )
        return HeadOutput(torch.cat([context, low_level], dim=1))
