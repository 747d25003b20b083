"""Label files that hold colours in place of class ids."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError, first_few
from dualseg.core.image_spec import MAX_PIXELS
from dualseg.core.labels import Color
from dualseg.data.pictures.images import read_image


def read_color_values(
    path: Path, colors: Sequence[Color], *, max_pixels: int = MAX_PIXELS
) -> NDArray[np.int32]:
    """Each pixel's colour as its number in a table.

    Args:
        path: A colour picture, or one with a palette.
        colors: The table.
        max_pixels: Larger files are refused by their header.

    Returns:
        (H, W) numbers, 0 for the first colour.

    Raises:
        InputError: The file cannot be read, or a colour is not in the table; each is named with
            its number of pixels and the nearest one of the table.
    """
    packed = pack_colors(read_image(path, max_pixels=max_pixels))
    table = pack_colors(np.asarray(colors, np.uint8))
    order = np.argsort(table)
    places = np.searchsorted(table, packed, sorter=order).clip(max=len(table) - 1)
    values = order[places].astype(np.int32)
    strange = table[values] != packed
    if strange.any():
        found, counts = np.unique(packed[strange], return_counts=True)
        by_pixels = np.argsort(-counts, kind="stable")
        lines = [
            f"{unpack_color(int(found[i]))}: {counts[i]} pixels, nearest is "
            f"{_nearest(unpack_color(int(found[i])), colors)}"
            for i in by_pixels
        ]
        raise InputError(
            f"{path} holds {len(lines)} colours that are no class (JPEG and smooth resizing make "
            "such ones; masks are PNG, resized by nearest):",
            first_few(lines, what="colours"),
        )
    return values


def pack_colors(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """(..., 3) RGB -> one number a colour."""
    red, green, blue = np.moveaxis(pixels.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def unpack_color(packed: int) -> Color:
    """The inverse of `pack_colors` for one colour."""
    return packed >> 16, packed >> 8 & 255, packed & 255


def _nearest(color: Color, colors: Sequence[Color]) -> Color:
    return min(
        colors, key=lambda other: sum((a - b) ** 2 for a, b in zip(color, other, strict=True))
    )
