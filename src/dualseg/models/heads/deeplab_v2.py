"""DeepLab v2: the sum of widely dilated classifiers, and the maximum over image scales."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import Head, HeadOutput

INITIAL_STD = 0.01  # as both ports; with Kaiming's the first logits of four summed maps are huge


class DeepLabV2Head(nn.Module):
    """Atrous spatial pyramid pooling as first published: dilated 3x3 with bias, summed, no norm.

    Its convolutions are the classifiers where `out_channels` is the number of classes; then the
    predictor only resizes. Do not pass it through `layers.initialize`.

    Args:
        feature_info: Channels and strides of the features it is given.
        out_channels: Classes, or the channels a DSRL decoder reads.
        atrous_rates: Dilation of each 3x3, in feature pixels at stride 8; (3, 6, 9, 12) is the
            paper's ASPP-S.
        align_corners: Without effect: nothing is resized here.

    Shape: features[-1] (B, C, H/s, W/s) -> (B, out_channels, H/s, W/s).  s: output stride

    Raises:
        InputError: atrous_rates is empty or holds a value below 1.

    Source: Chen et al. 2017, arXiv:1606.00915, section 3.1 (ASPP-L). Differs: one convolution a
        branch (fc6 alone), as the released model for ResNet-101.
    """

    side_info: tuple[FeatureInfo, ...] = ()
    dropout = 0.0

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        out_channels: int,
        atrous_rates: tuple[int, ...] = (6, 12, 18, 24),
        align_corners: bool = False,
    ):
        super().__init__()
        if not atrous_rates or min(atrous_rates) < 1:
            raise InputError(
                f"atrous_rates {atrous_rates} must hold at least one rate, each 1 or more"
            )
        self.out_channels = out_channels
        self.out_stride = feature_info[-1].stride
        in_channels = feature_info[-1].channels
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, 3, padding=rate, dilation=rate)
            for rate in atrous_rates
        )
        for branch in self.branches:
            nn.init.normal_(branch.weight, std=INITIAL_STD)  # type: ignore[arg-type]
            nn.init.zeros_(branch.bias)  # type: ignore[arg-type]

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        total = self.branches[0](features[-1])
        for branch in list(self.branches)[1:]:
            total = total + branch(features[-1])
        return HeadOutput(total)


class MultiScaleMaxHead(nn.Module):
    """One head on the deepest feature of every image scale; the element-wise maximum of its maps.

    For a `MultiScaleBackbone`, whose last features belong to the smaller scales. With the maximum,
    the maps of the single scales (its side features) give the paper's four losses.

    Args:
        head: Built for the deepest feature at scale 1; reads the last of the features it is given.
        feature_info: What the multi-scale backbone declares.
        num_scales: Of that backbone, scale 1 included.
        align_corners: Of enlarging the smaller scales' maps.

    Shape: features -> (B, head.out_channels, H/s, W/s); side features: one map for each scale, in
        its own size.  s: output stride at scale 1

    Source: Chen et al. 2017, arXiv:1606.00915, section 4.1.2 (multi-scale inputs, maximum).
    """

    def __init__(
        self,
        head: Head,
        feature_info: Sequence[FeatureInfo],
        *,
        num_scales: int = 3,
        align_corners: bool = False,
    ):
        super().__init__()
        self.head = head
        self.num_scales = num_scales
        self.align_corners = align_corners
        self.out_channels = head.out_channels
        self.out_stride = head.out_stride
        self.dropout = head.dropout
        deepest = feature_info[-num_scales:]
        self.side_info = tuple(FeatureInfo(head.out_channels, info.stride) for info in deepest)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        maps = tuple(self.head([feature]).features for feature in features[-self.num_scales :])
        fused = maps[0]
        for smaller in maps[1:]:
            enlarged = F.interpolate(
                smaller,
                size=fused.shape[-2:],
                mode="bilinear",
                align_corners=self.align_corners,
            )
            fused = torch.maximum(fused, enlarged)
        return HeadOutput(fused, maps)
