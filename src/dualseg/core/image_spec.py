"""What of an image file reaches the network: its bands, and the values that are black and white."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError

Pixels: TypeAlias = NDArray[np.uint8 | np.float32]
"""(H, W, C): uint8 as in files of eight bits, or float32, scaled so that 255 is white there too."""

MAX_PIXELS = 178_956_970  # Pillow's own limit; read from the header, before decoding
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
PLAIN_MEAN, PLAIN_STD = 0.5, 0.25  # of bands that nobody has measured
MAX_BANDS = 512


@dataclass(frozen=True)
class ImageSpec:
    """How image files become arrays.

    Args:
        channels: 3: red, green and blue, as people see them, whatever the file holds. Another
            number: all bands of files that have exactly so many. A tuple: the numbers of the bands
            to take, in this order, counted from 1.
        min_value: What is black in files of more than eight bits a band.
        max_value: What is white there; None: such files are refused. Values are scaled linearly
            and never clipped.
        max_pixels: Larger images are refused before they are decoded.

    Raises:
        InputError: A value that cannot be; all are listed.
    """

    channels: int | tuple[int, ...] = 3
    min_value: float = 0.0
    max_value: float | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        faults = image_faults(asdict(self))
        if faults:
            raise InputError("images cannot be read so:", faults)

    @property
    def num_channels(self) -> int:
        """Bands of the array, and of the network's input."""
        return self.channels if isinstance(self.channels, int) else len(self.channels)

    @property
    def is_plain(self) -> bool:
        """Ordinary pictures of eight bits, in colours."""
        return self.channels == 3 and self.max_value is None

    def changed(self, given: Mapping[str, Any]) -> "ImageSpec":
        """With these fields in the place of its own; None changes nothing."""
        kept = {name: value for name, value in given.items() if value is not None}
        return replace(self, **kept)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `model.json`."""
        plain = asdict(self)
        if isinstance(self.channels, tuple):
            plain["channels"] = list(self.channels)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "ImageSpec":
        """The inverse of `to_dict`; what is missing has its default, so old files mean RGB."""
        given = {name: plain.get(name) for name in FIELDS}
        if isinstance(given["channels"], list):
            given["channels"] = tuple(given["channels"])
        return cls().changed(given)


FIELDS = tuple(ImageSpec.__dataclass_fields__)


def image_faults(given: Mapping[str, Any]) -> list[str]:
    """What is wrong with the fields of an `ImageSpec`; None stands for one that is not given."""
    faults = []
    channels, low, high = (given.get(name) for name in ("channels", "min_value", "max_value"))
    if channels is not None and not _are_channels(channels):
        faults.append(
            f"channels: expected the number of bands, such as 4, or a list of the band numbers to "
            f"use, counted from 1, such as [3, 2, 1]; got {channels!r}"
        )
    for name, value in (("min_value", low), ("max_value", high)):
        if value is not None and not _is_number(value):
            faults.append(f"{name}: expected a number, got {value!r}")
    if not faults and high is not None and high <= (low or 0):
        faults.append(f"max_value: {high:g} (white) must lie above min_value {low or 0:g} (black)")
    limit = given.get("max_pixels")
    if limit is not None and (type(limit) is not int or limit < 1):
        faults.append(f"max_pixels: expected a number of pixels, such as 400000000; got {limit!r}")
    return faults


def default_mean_std(num_channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """ImageNet's for three bands; for others 0.5 and 0.25 in each."""
    if num_channels == 3:
        return IMAGENET_MEAN, IMAGENET_STD
    return (PLAIN_MEAN,) * num_channels, (PLAIN_STD,) * num_channels


def to_rgb(image: Pixels) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 to look at: the first three bands, or the first one in gray.

    An ordinary picture is handed back as it is. Values are clipped to 0..255 and rounded.
    """
    if image.dtype == np.uint8 and image.shape[2] == 3:
        return image  # type: ignore[return-value]
    shown = image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, axis=2)
    if shown.dtype == np.uint8:
        return np.ascontiguousarray(shown, np.uint8)
    return (np.clip(shown, 0, 255) + 0.5).astype(np.uint8)


def _are_channels(given: Any) -> bool:
    if isinstance(given, list | tuple):
        return 0 < len(given) <= MAX_BANDS and all(type(n) is int and n >= 1 for n in given)
    return type(given) is int and 1 <= given <= MAX_BANDS


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and type(given) is not bool and math.isfinite(given)
