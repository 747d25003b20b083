"""DeepLabV3: atrous spatial pyramid pooling on the deepest feature."""

from collections.abc import Sequence

from torch import Tensor, nn

from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import ASPP, conv_bn_relu


class DeepLabV3Head(nn.Module):
    """ASPP followed by a 3x3 fusion.

    Args:
        feature_info: Channels and strides of the features it is given.
        atrous_rates: Dilation of each 3x3 branch, in feature pixels; (12, 24, 36) suits output
            stride 8.

    Shape: features[-1] (B, C, H/s, W/s) -> (B, 256, H/s, W/s).  s: output stride

    Source: Chen et al. 2017, arXiv:1706.05587, section 3.3; dropout 0.5 after the projection and a
    3x3 fusion, as torchvision.
    """

    side_info: tuple[FeatureInfo, ...] = ()
    dropout = 0.0

    def __init__(self, feature_info: Sequence[FeatureInfo], *, atrous_rates: tuple[int, ...]):
        super().__init__()
        self.out_channels = 256
        self.out_stride = feature_info[-1].stride
        self.aspp = ASPP(
            feature_info[-1].channels, 256, atrous_rates=atrous_rates, separable=False, dropout=0.5
        )
        self.fuse = conv_bn_relu(256, 256)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        return HeadOutput(self.fuse(self.aspp(features[-1])))
