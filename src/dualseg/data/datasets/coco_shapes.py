"""Shapes as masks: polygons, and runs of pixels in both spellings of COCO."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dualseg.core.geometry import Size

MAX_COORDINATE = 1e7  # beyond it a number is no place in an image
CROSSINGS_AT_ONCE = 1 << 22
MAX_CROSSINGS = 1 << 30  # of edges with columns; a polygon that winds more would take minutes

Mask = NDArray[np.bool_]
Points = NDArray[np.float64]


class Patch(NamedTuple):
    """Pixels of a shape: a mask, and the place of its first pixel in the image."""

    top: int
    left: int
    mask: Mask


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
        if list(shape.get("size", size)) != list(size):
            raise ValueError(f"runs are of size {shape['size']}, the image is {list(size)}")
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

    Raises:
        ValueError: As `polygon_patch`.
    """
    height, width = mask.shape
    paint(mask, polygon_patch(points, (height, width)), True)


def paint(pixels: NDArray[Any], patch: Patch | None, value: int) -> None:
    """Gives the pixels of a patch a value.

    Args:
        pixels: (H, W); changed in place.
        patch: Lies within; None: no pixel.
        value: The new value.
    """
    if patch is not None:
        height, width = patch.mask.shape
        window = pixels[patch.top : patch.top + height, patch.left : patch.left + width]
        window[patch.mask] = value


def polygon_patch(points: ArrayLike, size: Size) -> Patch | None:
    """The pixels whose centre lies in a polygon (even-odd rule).

    Args:
        points: (N, 2) x and y of the corners; the centre of the first pixel is (0.5, 0.5). Parts
            beyond the image's border are cut off.
        size: (height, width) of the image.

    Returns:
        None where no centre lies in it.

    Raises:
        ValueError: A point is no number, or it winds too much.

    Differs from pycocotools, which rounds to fifths of a pixel, by pixels whose centre is that near
    to an edge.
    """
    height, width = size
    corners = np.asarray(points, np.float64)
    if not (np.abs(corners) <= MAX_COORDINATE).all():  # also false for NaN
        raise ValueError("a point is no number, or lies far outside of the image")
    x, y = corners.T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    # Columns whose centre an edge passes; half open, so that a shared corner counts once.
    first = np.ceil(np.minimum(x, next_x) - 0.5).clip(0, width).astype(np.int64)
    last = np.ceil(np.maximum(x, next_x) - 0.5).clip(0, width).astype(np.int64)
    lengths = last - first
    if not lengths.any():
        return None
    if lengths.sum() > MAX_CROSSINGS:
        raise ValueError(f"a polygon of {len(x)} points winds too much to be drawn")
    top = int(np.floor(y.min() - 0.5).clip(0, height))
    bottom = int(np.ceil(y.max() + 0.5).clip(0, height))
    left, right = int(first[lengths > 0].min()), int(last[lengths > 0].max())
    flips = np.zeros((bottom - top + 1, right - left), np.uint8)
    for some in _pieces(lengths):
        edge = np.repeat(np.arange(some.start, some.stop), lengths[some])
        starts = lengths[some].cumsum() - lengths[some]
        column = np.arange(len(edge)) - np.repeat(starts, lengths[some]) + first[edge]
        slope = (next_y - y)[edge] / (next_x - x)[edge]
        crossing = y[edge] + (column + 0.5 - x[edge]) * slope
        row = np.ceil(crossing - 0.5).clip(top, bottom).astype(np.int64)
        np.bitwise_xor.at(flips, (row - top, column - left), 1)
    inside = np.bitwise_xor.accumulate(flips, axis=0)[:-1].astype(np.bool_)
    return Patch(top, left, inside) if inside.any() else None


def runs_mask(runs: Sequence[int], size: Size) -> Mask:
    """Runs of pixels, column by column, off and on in turn, as a mask.

    Raises:
        ValueError: They are no whole numbers, or do not add up to the number of pixels.
    """
    height, width = size
    try:
        given = np.asarray(runs)
        lengths = given.astype(np.int64)
    except (OverflowError, TypeError) as error:
        raise ValueError(f"runs are no numbers of pixels ({error})") from None
    if lengths.ndim != 1 or (given != lengths).any():
        raise ValueError("runs are whole numbers in one list")
    too_long = (lengths < 0) | (lengths > height * width)  # their sum might overflow
    if too_long.any() or lengths.sum() != height * width:
        total = lengths[too_long][0] if too_long.any() else lengths.sum()
        raise ValueError(f"runs add up to {total} pixels, not to {height}x{width}")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def mask_runs(mask: Mask) -> list[int]:
    """The inverse of `runs_mask`."""
    flat = mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat, append=~flat[-1:])) + 1
    runs = np.diff(ends, prepend=0).tolist()
    return [0, *runs] if flat[0] else runs


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


def encode_runs(runs: Sequence[int]) -> str:
    """The inverse of `decode_runs`."""
    characters = []
    for number, run in enumerate(runs):
        value = run - runs[number - 2] if number > 2 else run
        while True:
            bits, value = value & 31, value >> 5
            is_last = value == (-1 if bits & 16 else 0)
            characters.append(chr((bits if is_last else bits | 32) + 48))
            if is_last:
                break
    return "".join(characters)


def _pieces(lengths: NDArray[np.int64]) -> Iterator[slice]:
    """Edges taken together, so that memory stays small."""
    total = lengths.cumsum()
    start = 0
    while start < len(lengths):
        before = int(total[start - 1]) if start else 0
        stop = int(np.searchsorted(total, before + CROSSINGS_AT_ONCE, side="right"))
        stop = max(stop, start + 1)
        yield slice(start, stop)
        start = stop
