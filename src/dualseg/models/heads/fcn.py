"""The plainest head: one or two 3x3 convolutions on one feature."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import Activation, conv_bn_relu


class FCNHead(nn.Module):
    """3x3 convolution to a quarter of the channels, batch norm, ReLU; dropout 0.1 before the
    classifier.

    Args:
        feature_info: Channels and strides of the features it is given.
        index: Which feature it reads; the deepest one by default.
        variant: "single": one convolution (torchvision); "double": two, then a third one on the
            input and their result side by side (mmsegmentation).
        channels: Of the result; a quarter of the feature's where not given.
        dilation: Of the first one or two convolutions, never of the third (mmsegmentation's D6).
        activation: After every batch norm.
        align_corners: Without effect: nothing is resized here.

    Shape: features[index] (B, C, H/s, W/s) -> (B, channels, H/s, W/s)

    Source: Long et al. 2015, arXiv:1411.4038, in the forms the two libraries gave it (no skips).
    """

    side_info: tuple[FeatureInfo, ...] = ()
    dropout = 0.1

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        index: int = -1,
        variant: Literal["single", "double"] = "single",
        channels: int | None = None,
        dilation: int = 1,
        activation: Activation = "relu",
        align_corners: bool = False,
    ):
        super().__init__()
        in_channels, stride = feature_info[index]
        width = channels or max(1, in_channels // 4)
        self.index = index
        self.out_channels = width
        self.out_stride = stride
        self.conv = conv_bn_relu(in_channels, width, dilation=dilation, activation=activation)
        self.fuse = None
        if variant == "double":
            second = conv_bn_relu(width, width, dilation=dilation, activation=activation)
            self.conv = nn.Sequential(self.conv, second)
            self.fuse = conv_bn_relu(in_channels + width, width, activation=activation)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        feature = features[self.index]
        convolved = self.conv(feature)
        if self.fuse is not None:
            convolved = self.fuse(torch.cat([feature, convolved], dim=1))
        return HeadOutput(convolved)
