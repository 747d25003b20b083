"""DeepLabV3: atrous spatial pyramid pooling on the deepest feature."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import ASPP, conv_bn_relu


class DeepLabV3Head(nn.Module):
    """ASPP and one 3x3 convolution.

    Args:
        feature_info: Channels and strides of the features it is given.
        atrous_rates: Dilation of each 3x3 branch, in feature pixels; (12, 24, 36) suits output
            stride 8.
        variant: "projected": the branches are projected by a 1x1 with dropout 0.5, then a 3x3
            (torchvision; other ports differ in the dropout alone); "bottleneck": joined by one
            3x3, dropout 0.1 before the classifier (mmsegmentation).
        channels: Of each branch and of the result; 256, and 512 in "bottleneck", where not given.
        dropout: After the branches are joined; 0.5, and 0 in "bottleneck", where not given.
        align_corners: Without effect: the pooled branch is one value spread over the map.

    Shape: features[-1] (B, C, H/s, W/s) -> (B, channels, H/s, W/s).  s: output stride

    Raises:
        InputError: atrous_rates is empty or holds a value below 1.

    Source: Chen et al. 2017, arXiv:1706.05587, section 3.3.
    """

    side_info: tuple[FeatureInfo, ...] = ()

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        atrous_rates: tuple[int, ...],
        variant: Literal["projected", "bottleneck"] = "projected",
        channels: int | None = None,
        dropout: float | None = None,
        align_corners: bool = False,
    ):
        super().__init__()
        bottleneck = variant == "bottleneck"
        width = channels or (512 if bottleneck else 256)
        self.out_channels = width
        self.out_stride = feature_info[-1].stride
        self.dropout = 0.1 if bottleneck else 0.0
        joined_dropout = 0.0 if bottleneck else 0.5
        self.aspp = ASPP(
            feature_info[-1].channels,
            width,
            atrous_rates=atrous_rates,
            separable=False,
            dropout=joined_dropout if dropout is None else dropout,
            project_size=3 if bottleneck else 1,
        )
        self.fuse = nn.Identity() if bottleneck else conv_bn_relu(width, width)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        return HeadOutput(self.fuse(self.aspp(features[-1])))
