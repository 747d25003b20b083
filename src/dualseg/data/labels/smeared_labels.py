"""Label files whose values JPEG or smooth resizing has smeared: each pixel's nearest true value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.core.image_spec import MAX_PIXELS
from dualseg.core.labels import IGNORE_INDEX, Color, LabelSpec
from dualseg.data.checking.mask_facts import read_gray_values
from dualseg.data.dataset import Pair, RawValues
from dualseg.data.labels.color_labels import pack_colors, read_color_values, unpack_color
from dualseg.data.pictures.images import read_image

UNDECIDED = 256  # a value that no file of eight bits holds
NEAR = 1 / 3  # of the smallest distance between two true values
MOST_UNDECIDED = 0.1


@dataclass(frozen=True)
class GrayReader:
    """Reads colour pictures of equal channels, and plain label files, as values.

    Args:
        snap_to: True values; each pixel is taken for the nearest one. None: as they are. A pixel
            too far from all becomes `UNDECIDED`.
        max_pixels: Larger files are refused; it does not change what is read, so it is no part of
            the name under which the records keep that.
    """

    snap_to: tuple[int, ...] | None = None
    max_pixels: int = field(default=MAX_PIXELS, repr=False)

    def __call__(self, pair: Pair) -> RawValues:
        """(H, W) values of a pair's mask."""
        values = read_gray_values(pair.label, max_pixels=self.max_pixels)
        return values if self.snap_to is None else nearest_values(values, self.snap_to)

    def declared(self, labels: LabelSpec) -> dict[str, Any]:
        """Keys of dataset.yaml that make the folder read like this again."""
        return {} if self.snap_to is None else {"snap": True}


@dataclass(frozen=True)
class ColorReader:
    """Reads a mask's colours as class ids.

    Args:
        colors: All colours that may occur.
        ids: The class of each, or 255.
        snap: Whether a colour that is none of them is taken for the nearest one; where it is too
            far from all, the pixel is ignored.
        max_pixels: As of `GrayReader`.
    """

    colors: tuple[Color, ...]
    ids: tuple[int, ...]
    snap: bool = False
    max_pixels: int = field(default=MAX_PIXELS, repr=False)

    def __call__(self, pair: Pair) -> NDArray[np.uint8]:
        """(H, W) class ids of a pair's mask."""
        ids = np.asarray([*self.ids, IGNORE_INDEX], np.uint8)
        if self.snap:
            pixels = read_image(pair.label, max_pixels=self.max_pixels)
            return ids[nearest_colors(pixels, self.colors)]
        return ids[read_color_values(pair.label, self.colors, max_pixels=self.max_pixels)]

    def declared(self, labels: LabelSpec) -> dict[str, Any]:
        """Keys of dataset.yaml that make the folder read like this again."""
        names = {**dict(enumerate(labels.class_names)), IGNORE_INDEX: IGNORE_INDEX}
        both = zip(self.colors, self.ids, strict=True)
        colors = [{"color": list(color), "class": names[class_id]} for color, class_id in both]
        return {"colors": colors} | ({"snap": True} if self.snap else {})


def nearest_values(values: RawValues, allowed: Sequence[int]) -> NDArray[np.int32]:
    """Each value's nearest allowed one.

    Of two allowed values the nearer one is always meant. Of more, what lies between two may be a
    smeared edge of two others, so that only what is near counts: see `NEAR`.

    Args:
        values: (H, W).
        allowed: Two or more.

    Returns:
        (H, W) allowed values, and `UNDECIDED`.
    """
    true = np.sort(np.asarray(allowed, np.int32))
    right = np.searchsorted(true, values).clip(1, len(true) - 1)
    low, high = true[right - 1], true[right]
    found = np.where(values - low <= high - values, low, high)
    if len(true) > 2:
        far = np.abs(values - found) > NEAR * np.diff(true).min()
        found[far] = UNDECIDED
    return found.astype(np.int32)


def nearest_colors(pixels: NDArray[np.uint8], colors: Sequence[Color]) -> NDArray[np.int64]:
    """The number of each pixel's nearest colour; the number of colours where none is near.

    Args:
        pixels: (H, W, 3) RGB.
        colors: Two or more.

    Returns:
        (H, W).
    """
    packed, places = np.unique(pack_colors(pixels), return_inverse=True)
    return _nearest(packed, colors)[places].reshape(pixels.shape[:2])


def undecided_share(counts: Mapping[int, int], colors: Sequence[Color]) -> float:
    """Share of pixels that are near to none of the colours.

    Args:
        counts: Packed colour -> pixels.
        colors: The true ones.
    """
    packed = np.fromiter(counts, np.int64)
    pixels = np.fromiter(counts.values(), np.int64)
    return float(pixels[_nearest(packed, colors) == len(colors)].sum() / max(1, pixels.sum()))


def _nearest(packed: NDArray[np.integer], colors: Sequence[Color]) -> NDArray[np.int64]:
    true = np.asarray(colors, np.float64)
    given = np.asarray([unpack_color(int(value)) for value in packed], np.float64).reshape(-1, 3)
    distances = np.linalg.norm(given[:, None] - true[None], axis=2)
    found = distances.argmin(axis=1)
    between = np.linalg.norm(true[:, None] - true[None], axis=2)
    smallest = between[between > 0].min(initial=np.inf)
    near = NEAR if len(colors) > 2 else 0.5
    found[distances.min(axis=1) > near * smallest] = len(colors)
    return found.astype(np.int64)
