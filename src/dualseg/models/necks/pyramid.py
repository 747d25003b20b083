"""Several strides from one map, for backbones with a single stride (plain vision transformers)."""

from collections.abc import Sequence

from timm.layers import LayerNorm2d
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.features import FeatureInfo, index_of_stride

STRIDES = (4, 8, 16, 32)


class SimplePyramid(nn.Module):
    """Maps at strides 4, 8, 16 and 32, or some of them, all made of the deepest feature at
    stride 16.

    Layer norm over the channels of each position: it does not care about the batch or the size of
    the map.

    Args:
        feature_info: Channels and strides of the backbone's features.
        strides: Of the maps, ascending, among 4, 8, 16 and 32.
        channels: Of each map.

    Shape: features[i] (B, C, h, w) -> of the maps of (4h, 4w), (2h, 2w), (h, w) and
        (ceil(h / 2), ceil(w / 2)). At odd image sizes the first two reach beyond the image, as the
        stride-16 map does.

    Raises:
        InputError: No feature has stride 16, or other strides are asked for.

    Source: Li et al. 2022, arXiv:2203.16527, section 3 (simple feature pyramid). Differs: the
        coarsest map keeps a last, half-filled pooling window.
    """

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        strides: Sequence[int] = STRIDES,
        channels: int = 256,
    ):
        super().__init__()
        if not strides or sorted(set(strides) & set(STRIDES)) != list(strides):
            raise InputError(f"strides {tuple(strides)} must be ascending, of 4, 8, 16 and 32")
        self.index = index_of_stride(feature_info, 16, wanted_by="neck pyramid")
        in_channels = feature_info[self.index].channels
        self.levels = nn.ModuleList(_level(in_channels, stride, channels) for stride in strides)
        self.feature_info = tuple(FeatureInfo(channels, stride) for stride in strides)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        deepest = features[self.index]
        return [level(deepest) for level in self.levels]


def _level(in_channels: int, stride: int, channels: int) -> nn.Sequential:
    """From stride 16 to `stride`, then smoothed to `channels`."""
    half, quarter = in_channels // 2, in_channels // 4
    if stride == 4:
        resize: list[nn.Module] = [
            nn.ConvTranspose2d(in_channels, half, 2, stride=2),
            LayerNorm2d(half),
            nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, stride=2),
        ]
        return nn.Sequential(*resize, *_smooth(quarter, channels))
    if stride == 8:
        enlarge = nn.ConvTranspose2d(in_channels, half, 2, stride=2)
        return nn.Sequential(enlarge, *_smooth(half, channels))
    shrink = [nn.MaxPool2d(2, ceil_mode=True)] if stride == 32 else []
    return nn.Sequential(*shrink, *_smooth(in_channels, channels))


def _smooth(in_channels: int, out_channels: int) -> list[nn.Module]:
    """1x1 and 3x3 convolution, each followed by layer norm."""
    return [
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        LayerNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        LayerNorm2d(out_channels),
    ]
