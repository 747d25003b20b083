"""Images of any size for networks with sizes of their own: pad the image, crop the features."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.models import is_model_in_modules
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.dilation import PROBE_SIZE
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.backbones.weights import first_line

# By the timm file a network stands in: what keeps it from insisting on the size it was trained at.
DYNAMIC_SIZE: dict[str, dict[str, bool]] = {
    "vision_transformer": {"dynamic_img_size": True},
    "vision_transformer_hybrid": {"dynamic_img_size": True},
    "vitamin": {"dynamic_img_size": True},
    "deit": {"dynamic_img_size": True},
    "eva": {"dynamic_img_size": True},
    "swin_transformer": {"strict_img_size": False},
    "swin_transformer_v2": {"strict_img_size": False},
    "swin_transformer_v2_cr": {"strict_img_size": False},
}
COMMON_MULTIPLES = (1, 16, 32, 64)
MISFITS = (AssertionError, RuntimeError, ValueError, TypeError, LookupError)


def dynamic_size_options(timm_name: str) -> dict[str, bool]:
    """Arguments of `timm.create_model` that free a transformer from its training size."""
    for module, options in DYNAMIC_SIZE.items():
        if is_model_in_modules(timm_name, module):
            return options
    return {}


def padded_features(body: nn.Module, images: Tensor, multiple: int) -> list[Tensor]:
    """Features of an image padded with zeros at the bottom and right, without the padding's own.

    Args:
        body: A timm feature extractor.
        images: (B, C, H, W).
        multiple: Height and width are padded to multiples of this; 1 pads nothing.

    Returns:
        (B, C, ceil(H/s), ceil(W/s)) for each stride s, channels first whatever `body` gives.
    """
    if multiple == 1:
        return _channels_first(body, body(images))
    height, width = images.shape[-2:]
    padded = _pad(images, multiple)
    features = _channels_first(body, body(padded))
    strides = [padded.shape[-2] // feature.shape[-2] for feature in features]
    return [
        feature[..., : -(-height // stride), : -(-width // stride)]
        for feature, stride in zip(features, strides, strict=True)
    ]


def small_features(
    body: nn.Module,
    images: Tensor,
    multiple: int,
    smallest: int,
    info: Sequence[FeatureInfo],
) -> list[Tensor]:
    """`padded_features` of an image with a side below `smallest`, padded to that first."""
    height, width = images.shape[-2:]
    enlarged = F.pad(images, (0, max(0, smallest - width), 0, max(0, smallest - height)))
    features = padded_features(body, enlarged, multiple)
    return [
        feature[..., : -(-height // stride), : -(-width // stride)]
        for feature, (_, stride) in zip(features, info, strict=True)
    ]


def _pad(images: Tensor, multiple: int) -> Tensor:
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % multiple, 0, -height % multiple))


def _channels_first(body: nn.Module, features: Sequence[Tensor]) -> list[Tensor]:
    if getattr(body, "output_fmt", "NCHW") == "NHWC":
        return [feature.permute(0, 3, 1, 2) for feature in features]
    return list(features)


def find_multiple(
    body: nn.Module, name: str, own_size: int, in_channels: int = 3
) -> tuple[int, tuple[FeatureInfo, ...]]:
    """The smallest of 1, 16, 32, 64 and `own_size` that images must be padded to multiples of.

    Args:
        body: A timm feature extractor.
        name: For the message.
        own_size: Of the images it was trained on.
        in_channels: Bands of the images.

    Returns:
        The multiple, and what `measure` says of the features then.

    Raises:
        InputError: No padding makes it take images of any size, or a stride is no power of two.
    """
    strides: list[int] = body.feature_info.reduction()  # type: ignore[union-attr,operator,assignment]
    odd = [stride for stride in strides if stride & (stride - 1)]
    if odd:
        raise InputError(
            f"{name} has features at stride {odd[-1]}, which is no power of two; choose a "
            "backbone with strides 4, 8, 16 and 32, or patches of 16"
        )
    reason = ""
    for multiple in (*COMMON_MULTIPLES, own_size):
        try:
            return multiple, measure(body, multiple, in_channels)
        except MISFITS as error:
            reason = first_line(error)
    raise InputError(f"{name} does not take images of any size ({reason}); choose another backbone")


@torch.no_grad()
def find_smallest(body: nn.Module, multiple: int, in_channels: int = 3) -> int:
    """The side from which on images need no padding beyond that to `multiple`: a power of two.

    Some networks pool or convolve with windows that a small image's maps do not fill.

    Args:
        body: A timm feature extractor that `measure` took.
        multiple: As for `padded_features`.
        in_channels: Bands of the images.
    """
    was_training = body.training
    body.eval()
    try:
        for side in (2**exponent for exponent in range(PROBE_SIZE.bit_length() - 1)):
            try:
                padded_features(body, torch.zeros(1, in_channels, side, side), multiple)
            except MISFITS:
                continue
            return side
    finally:
        body.train(was_training)
    return PROBE_SIZE


@torch.no_grad()
def measure(body: nn.Module, multiple: int, in_channels: int = 3) -> tuple[FeatureInfo, ...]:
    """Channels and strides, found by sending a square image and one of odd sides through.

    Raises:
        ValueError: Sizes of features are not the image's divided by a power of two, rounded up.
            `body` may raise errors of its own.
    """
    side = probe_size(multiple)
    was_training = body.training
    body.eval()
    try:
        square = padded_features(body, torch.zeros(1, in_channels, side, side), multiple)
        odd_image = torch.zeros(1, in_channels, 65, max(97, multiple + 1))
        # As it comes out: what is cut off afterwards would hide a map of another size.
        padded_image = _pad(odd_image, multiple)
        odd = _channels_first(body, body(padded_image))
    finally:
        body.train(was_training)
    info = tuple(FeatureInfo(feature.shape[1], side // feature.shape[-1]) for feature in square)
    _check_sizes(square, info, (side, side))
    _check_sizes(odd, info, (padded_image.shape[-2], padded_image.shape[-1]))
    return info


def _check_sizes(
    features: Sequence[Tensor], info: Sequence[FeatureInfo], image_size: tuple[int, int]
) -> None:
    height, width = image_size
    for feature, (_, stride) in zip(features, info, strict=True):
        size = tuple(feature.shape[-2:])
        if stride & (stride - 1) or size != (-(-height // stride), -(-width // stride)):
            raise ValueError(
                f"a {height}x{width} image gives a {size[0]}x{size[1]} feature, which is not its "
                f"size divided by a power of two"
            )


def probe_size(multiple: int) -> int:
    """The smallest side of at least `PROBE_SIZE` that needs no padding."""
    return multiple * -(-PROBE_SIZE // multiple)
