"""Several strides from one map, for backbones with a single stride (plain vision transformers)."""

from collections.abc import Sequence

from timm.layers import LayerNorm2d
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.features import FeatureInfo

STRIDES = (4, 8, 16, 32)


class SimplePyramid(nn.Module):
    """Maps at strides 4, 8, 16 and 32, or some of them, all made of the deepest feature, whose
    stride is 8, 16 or 32.

    Layer norm over the channels of each position: it does not care about the batch or the size of
    the map.

    Args:
        feature_info: Channels and strides of the backbone's features.
        strides: Of the maps, ascending, among 4, 8, 16 and 32.
        channels: Of each map.

    Shape: features[-1] (B, C, h, w), of stride 16, -> of the maps of (4h, 4w), (2h, 2w), (h, w)
        and (ceil(h / 2), ceil(w / 2)). At odd image sizes the first two reach beyond the image, as
        the feature does.

    Raises:
        InputError: The deepest feature has another stride, or other strides are asked for.

    Source: Li et al. 2022, arXiv:2203.16527, section 3 (simple feature pyramid), for stride 16.
        Differs: the coarsest map keeps a last, half-filled pooling window.
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
        in_channels, deepest = feature_info[-1]
        if deepest not in STRIDES[1:]:
            raise InputError(
                f"neck pyramid needs a deepest feature at stride 8, 16 or 32; this one has stride "
                f"{deepest}. Choose another output_stride or backbone"
            )
        self.levels = nn.ModuleList(
            _level(in_channels, deepest, stride, channels) for stride in strides
        )
        self.feature_info = tuple(FeatureInfo(channels, stride) for stride in strides)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [level(features[-1]) for level in self.levels]


def _level(in_channels: int, before: int, after: int, channels: int) -> nn.Sequential:
    """From one stride to another, then smoothed to `channels`: doubled with half the channels, step
    by step, or the largest of each window.
    """
    width, resize = in_channels, list[nn.Module]()
    while before > after:
        if resize:
            resize += [LayerNorm2d(width), nn.GELU()]
        resize.append(nn.ConvTranspose2d(width, width // 2, 2, stride=2))
        width, before = width // 2, before // 2
    if before < after:
        resize.append(nn.MaxPool2d(after // before, ceil_mode=True))
    return nn.Sequential(*resize, *_smooth(width, channels))


def _smooth(in_channels: int, out_channels: int) -> list[nn.Module]:
    """1x1 and 3x3 convolution, each followed by layer norm."""
    return [
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        LayerNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        LayerNorm2d(out_channels),
    ]
