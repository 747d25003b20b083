"""Four strides from one map, for backbones with a single stride (plain vision transformers)."""

from collections.abc import Sequence

from timm.layers import LayerNorm2d
from torch import Tensor, nn

from dualseg.models.backbones.features import FeatureInfo, index_of_stride

STRIDES = (4, 8, 16, 32)


class SimplePyramid(nn.Module):
    """Maps at strides 4, 8, 16 and 32, all made of the deepest feature at stride 16.

    Layer norm over the channels of each position: it does not care about the batch or the size of
    the map.

    Args:
        feature_info: Channels and strides of the backbone's features.
        channels: Of each map.

    Shape: features[i] (B, C, h, w) -> maps of (4h, 4w), (2h, 2w), (h, w) and
        (ceil(h / 2), ceil(w / 2)). At odd image sizes the first two reach beyond the image, as the
        stride-16 map does.

    Raises:
        InputError: No feature has stride 16.

    Source: Li et al. 2022, arXiv:2203.16527, section 3 (simple feature pyramid). Differs: the
        coarsest map keeps a last, half-filled pooling window.
    """

    def __init__(self, feature_info: Sequence[FeatureInfo], *, channels: int = 256):
        super().__init__()
        self.index = index_of_stride(feature_info, 16, wanted_by="neck pyramid")
        in_channels = feature_info[self.index].channels
        self.resize = nn.ModuleList(
            [
                nn.Sequential(
                    nn.ConvTranspose2d(in_channels, in_channels // 2, 2, stride=2),
                    LayerNorm2d(in_channels // 2),
                    nn.GELU(),
                    nn.ConvTranspose2d(in_channels // 2, in_channels // 4, 2, stride=2),
                ),
                nn.ConvTranspose2d(in_channels, in_channels // 2, 2, stride=2),
                nn.Identity(),
                nn.MaxPool2d(2, ceil_mode=True),
            ]
        )
        widths = (in_channels // 4, in_channels // 2, in_channels, in_channels)
        self.smooth = nn.ModuleList(_smooth(width, channels) for width in widths)
        self.feature_info = tuple(FeatureInfo(channels, stride) for stride in STRIDES)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        deepest = features[self.index]
        return [
            smooth(resize(deepest)) for resize, smooth in zip(self.resize, self.smooth, strict=True)
        ]


def _smooth(in_channels: int, out_channels: int) -> nn.Sequential:
    """1x1 and 3x3 convolution, each followed by layer norm."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        LayerNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        LayerNorm2d(out_channels),
    )
