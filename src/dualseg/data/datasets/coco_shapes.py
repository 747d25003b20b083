"""The shapes of COCO annotations as masks: polygons, and runs of pixels in both spellings."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dualseg.core.geometry import Size

Mask = NDArray[np.bool_]


def shape_mask(shape: Any, size: Size) -> Mask:
    """The pixels of an annotation's `segmentation`.

    Args:
        shape: A list of polygons, each x, y, x, y, ...; or {"counts", "size"} with runs as numbers
            or as text.
        size: (height, width) of the image.

    Raises:
        ValueError: It is none of these, or does not fit the size.
    """
    if isinstance(shape, dict):
        counts = shape["counts"]
        return runs_mask(decode_runs(counts) if isinstance(counts, str) else counts, size)
    mask = np.zeros(size, np.bool_)
    for polygon in shape:
        fill_polygon(mask, np.asarray(polygon, np.float64).reshape(-1, 2))
    return mask


def fill_polygon(mask: Mask, points: ArrayLike) -> None:
    """Sets the pixels whose centre lies in a polygon (even-odd rule).

    Args:
        mask: (H, W); changed in place.
        points: (N, 2) x and y of the corners; the centre of the first pixel is (0.5, 0.5).

    Differs from pycocotools, which rounds to fifths of a pixel, by pixels whose centre is that near
    to an edge.
    """
    height, width = mask.shape
    x, y = np.asarray(points, np.float64).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    # Columns whose centre an edge passes; half open, so that a shared corner counts once.
    first = np.ceil(np.minimum(x, next_x) - 0.5).clip(0, width).astype(np.int64)
    last = np.ceil(np.maximum(x, next_x) - 0.5).clip(0, width).astype(np.int64)
    lengths = last - first
    edge = np.repeat(np.arange(len(x)), lengths)
    if not len(edge):
        return
    column = np.arange(len(edge)) - np.repeat(lengths.cumsum() - lengths, lengths) + first[edge]
    slope = (next_y - y)[edge] / (next_x - x)[edge]
    crossing = y[edge] + (column + 0.5 - x[edge]) * slope
    row = np.ceil(crossing - 0.5).clip(0, height).astype(np.int64)
    top, bottom, left, right = row.min(), row.max(), column.min(), column.max() + 1
    flips = np.zeros((bottom - top + 1, right - left), np.uint8)
    np.bitwise_xor.at(flips, (row - top, column - left), 1)
    inside = np.bitwise_xor.accumulate(flips, axis=0)[:-1]
    mask[top:bottom, left:right] |= inside.astype(np.bool_)


def runs_mask(runs: Sequence[int], size: Size) -> Mask:
    """Runs of pixels, column by column, off and on in turn, as a mask.

    Raises:
        ValueError: They do not add up to the number of pixels.
    """
    height, width = size
    lengths = np.asarray(runs, np.int64)
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"runs add up to {lengths.sum()} pixels, not to {height}x{width}")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def decode_runs(text: str) -> list[int]:
    """Runs that are packed into text: five bits a character, low ones first, then differences.

    Bit 6 of a character says that more follow; the highest of the last five is the sign. From the
    fourth run on the difference to the run two before is stored.

    Raises:
        ValueError: The text ends in the middle of a number or holds other characters.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError(f"{character!r} is no part of packed runs")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("packed runs end in the middle of a number")
    return runs
