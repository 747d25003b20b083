"""The plainest head: one 3x3 convolution on the deepest feature."""

from collections.abc import Sequence

from torch import Tensor, nn

from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import conv_bn_relu


class FCNHead(nn.Module):
    """3x3 convolution to a quarter of the channels, batch norm, ReLU; dropout 0.1 before the
    classifier.

    Args:
        feature_info: Channels and strides of the features it is given.
        index: Which feature it reads; the deepest one by default.

    Shape: features[index] (B, C, H/s, W/s) -> (B, C/4, H/s, W/s)

    Source: Long et al. 2015, arXiv:1411.4038, in the form torchvision gave it (no skips).
    """

    side_info: tuple[FeatureInfo, ...] = ()
    dropout = 0.1

    def __init__(self, feature_info: Sequence[FeatureInfo], *, index: int = -1):
        super().__init__()
        self.index = index
        self.out_channels = max(1, feature_info[index].channels // 4)
        self.out_stride = feature_info[index].stride
        self.conv = conv_bn_relu(feature_info[index].channels, self.out_channels)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        return HeadOutput(self.conv(features[self.index]))
