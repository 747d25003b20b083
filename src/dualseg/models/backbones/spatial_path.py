"""BiSeNet's spatial path: a shallow feature at stride 8, straight from the image."""

from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.backbone import Backbone
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.layers import conv_bn_relu

SPATIAL_CHANNELS = (64, 128)
CONTEXT_FEATURES = 2  # the deepest ones, which the context path reads
SPATIAL_STRIDE = 8


class WithSpatialPath(nn.Module):
    """A backbone's features and, just before its two deepest ones, the spatial path's.

    Args:
        body: The backbone: the context path's beginning.
        channels: Of the spatial path's three strided layers, and of its feature.
        in_channels: Bands of the images.

    Shape: (B, C, H, W) -> the body's features; third from the end stands
        (B, channels[1], ceil(H/8), ceil(W/8))

    Raises:
        InputError: The body gives fewer than two features, or only coarser ones than stride 8
            and more than two (they would not stand fine to coarse).

    Source: Yu et al. 2018, arXiv:1808.00897, section 3.1; 7x7, 3x3, 3x3 and 1x1 as its authors'
        code (three 3x3 in the text).
    """

    def __init__(
        self,
        body: Backbone,
        *,
        channels: tuple[int, int] = SPATIAL_CHANNELS,
        in_channels: int = 3,
    ):
        super().__init__()
        info = body.feature_info
        self.position = len(info) - CONTEXT_FEATURES
        before = info[self.position - 1].stride if self.position > 0 else 1
        if self.position < 0 or before > SPATIAL_STRIDE:
            strides = ", ".join(str(feature.stride) for feature in info)
            raise InputError(
                f"BiSeNet needs two deep features and no other beyond stride {SPATIAL_STRIDE}; "
                f"this backbone gives strides {strides}. Choose another backbone or head"
            )
        if len(channels) != 2 or min(channels) < 1:
            raise InputError(f"spatial_channels {list(channels)} must be two numbers from 1 on")
        inner, last = channels
        self.body = body
        self.spatial_path = nn.Sequential(
            conv_bn_relu(in_channels, inner, 7, stride=2),
            conv_bn_relu(inner, inner, stride=2),
            conv_bn_relu(inner, inner, stride=2),
            conv_bn_relu(inner, last, 1),
        )
        spatial = FeatureInfo(last, SPATIAL_STRIDE)
        self.feature_info = (*info[: self.position], spatial, *info[self.position :])
        auxiliary_index = body.auxiliary_index % len(info)
        self.auxiliary_index = auxiliary_index + (auxiliary_index >= self.position)

    def forward(self, images: Tensor) -> list[Tensor]:
        features = list(self.body(images))
        features.insert(self.position, self.spatial_path(images))
        return features
