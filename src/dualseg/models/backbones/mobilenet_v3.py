"""MobileNetV3-Large as torchvision's segmentation models use it."""

from pathlib import Path

from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Large_Weights, mobilenet_v3_large

from dualseg.core.errors import InputError
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.backbones.weights import (
    first_line,
    load_published,
    no_weights,
    read_weights,
)

# Ends of stages in torchvision's list of blocks. Index 4 is the first block of the 40-channel
# stage, not its last: LR-ASPP and the auxiliary head read this one.
TAPS = (1, 3, 4, 12, 16)
CHANNELS = (16, 24, 40, 112, 960)
STRIDES = (2, 4, 8, 16)
STRIDE_8 = 2


class MobileNetV3Large(nn.Module):
    """Features of MobileNetV3-Large; at output stride 16 the last stage is dilated by 2.

    The block that lost its stride is dilated too ("full" in `dilation.py`), as in torchvision.
    Batch norms have epsilon 0.001.

    Args:
        output_stride: 16 or 32.
        in_channels: Bands of the images; see `weights.adapt_first_convolution`.
        pretrained: False, True (torchvision's weights, needs a download) or a local file.

    Shape: (B, C, H, W) -> list of (B, C_i, ceil(H / s_i), ceil(W / s_i)), as `feature_info` says.

    Raises:
        InputError: Another output stride, or weights that cannot be had.

    Source: Howard et al. 2019, arXiv:1905.02244, sections 5 and 6.4; the network is torchvision's
        (BSD-3-Clause), which unlike the paper does not halve the last stage's channels.
    """

    def __init__(
        self, *, output_stride: int = 16, in_channels: int = 3, pretrained: bool | str = False
    ):
        super().__init__()
        if output_stride not in (16, 32):
            raise InputError(
                f"mobilenet_v3_large cannot run at output_stride {output_stride}; use 16 or 32"
            )
        self.body = mobilenet_v3_large(weights=None, dilated=output_stride == 16).features
        if in_channels != 3:
            self.body[0][0] = _first_convolution(in_channels)  # type: ignore[index,operator]
        if pretrained is not False:
            _load(self.body, pretrained, in_channels)
        strides = (*STRIDES, output_stride)
        self.feature_info = tuple(map(FeatureInfo, CHANNELS, strides))
        self.auxiliary_index = STRIDE_8

    def forward(self, images: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        for index, block in enumerate(self.body):
            images = block(images)
            if index in TAPS:
                features.append(images)
        return features


def _first_convolution(in_channels: int) -> nn.Conv2d:
    """torchvision's, initialised as there, for another number of bands."""
    convolution = nn.Conv2d(in_channels, CHANNELS[0], 3, stride=2, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    return convolution


def _load(body: nn.Module, pretrained: bool | str, in_channels: int) -> None:
    if isinstance(pretrained, str):
        weights, source = read_weights(Path(pretrained)), pretrained
    else:
        weights, source = _download(), "torchvision's file"
    inner = {key.removeprefix("features."): tensor for key, tensor in weights.items()}
    load_published(body, inner, source=source, in_channels=in_channels)


def _download() -> dict[str, Tensor]:
    published = MobileNet_V3_Large_Weights.DEFAULT
    try:
        weights = published.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise InputError(no_weights("mobilenet_v3_large", first_line(error))) from error
    return dict(weights)
