"""DeepLab v1: VGG's fully connected layers as convolutions, the first one widely dilated."""

from collections.abc import Sequence

from torch import Tensor, nn

from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import HeadOutput


class DeepLabV1Head(nn.Module):
    """fc6 as a dilated 3x3 convolution, fc7 as a 1x1, each with ReLU; dropout 0.5 behind both.

    Args:
        feature_info: Channels and strides of the features it is given.
        channels: Of fc6 and fc7.
        dilation: Of fc6, in feature pixels at stride 8; 12 is LargeFOV.

    Shape: features[-1] (B, C, H/s, W/s) -> (B, channels, H/s, W/s).  s: output stride

    Source: Chen et al. 2015, arXiv:1412.7062, section 4.1 (DeepLab-CRF-LargeFOV, without the CRF).
    """

    side_info: tuple[FeatureInfo, ...] = ()
    dropout = 0.5

    def __init__(
        self, feature_info: Sequence[FeatureInfo], *, channels: int = 1024, dilation: int = 12
    ):
        super().__init__()
        self.out_channels = channels
        self.out_stride = feature_info[-1].stride
        in_channels = feature_info[-1].channels
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, padding=dilation, dilation=dilation),
            nn.ReLU(inplace=True),
            nn.Dropout(self.dropout),
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(inplace=True),
        )

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        return HeadOutput(self.layers(features[-1]))
