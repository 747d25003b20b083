"""Label maps as outlines along the edges of pixels, from which they come back exactly.

Corners are whole numbers and pixel centres lie half a pixel beside them, so no rounding of a reader
decides on which side a pixel is.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Loop = NDArray[np.int64]


class Region(NamedTuple):
    """Pixels of one class that touch each other at their sides.

    Attributes:
        class_id: Their class, or the ignored one.
        top, left: Place of the mask in the image.
        mask: (h, w), as large as the region.
    """

    class_id: int
    top: int
    left: int
    mask: Mask

    def polygon(self) -> Loop:
        """(N, 2) x and y in the image: one closed line, led to holes and back on the same way."""
        return keyhole_polygon(self.mask) + np.array([self.left, self.top])


def regions(label_map: NDArray[np.uint8], *, skip: int | None = None) -> Iterator[Region]:
    """The regions of a label map, by class and from the top.

    Args:
        label_map: (H, W) class ids.
        skip: A class that is left out, as the background is.
    """
    for class_id in np.unique(label_map).tolist():
        if class_id == skip:
            continue
        own = (label_map == class_id).astype(np.uint8)
        count, parts, boxes, _ = cv2.connectedComponentsWithStats(own, connectivity=4)
        for number in range(1, count):
            left, top, width, height = boxes[number, :4].tolist()
            window = parts[top : top + height, left : left + width]
            yield Region(class_id, top, left, window == number)


def keyhole_polygon(mask: Mask) -> Loop:
    """The outline of a region as one closed line.

    From the top of each hole the line goes straight up to the next outline and back on the same
    way, which encloses nothing.

    Args:
        mask: (h, w); its pixels touch each other at their sides.

    Returns:
        (N, 2) x and y of the corners.
    """
    found = loops(mask)
    if len(found) == 1:
        return found[0]
    edges = _HorizontalEdges(found, mask.shape[1])
    parts: list[dict[int, list[tuple[int, list[tuple[int, int]]]]]] = [{} for _ in found]
    by_top = sorted(range(1, len(found)), key=lambda n: -int(found[n][0, 1]))
    for number in by_top:  # what leads to a hole from below it is there before the hole itself
        x, y = found[number][0].tolist()
        above = np.flatnonzero(~mask[:y, x])
        at = int(above[-1]) + 1 if len(above) else 0
        loop, edge = edges.find(x, at)
        inner = _with_parts(found[number], parts[number])
        way = [(x, at), *inner, inner[0], (x, at)]
        parts[loop].setdefault(edge, []).append((x, way))
    return np.array(_with_parts(found[0], parts[0]), np.int64)


def loops(mask: Mask) -> list[Loop]:
    """Closed lines along the edges of pixels that enclose a region; the outer one first.

    Args:
        mask: (h, w); its pixels touch each other at their sides.

    Returns:
        (N, 2) x and y of the corners; each begins at its topmost corner, of these at the leftmost,
        and goes on along a row.
    """
    x, y, beside, across = _corners(mask)
    seen = np.zeros(len(x), np.bool_).tolist()
    result = []
    for start in range(len(x)):
        if seen[start]:
            continue
        here, line = start, []
        while not seen[here]:
            partner = beside[here]
            seen[here] = seen[partner] = True
            line += [here, partner]
            here = across[partner]
        result.append(np.stack([x[line], y[line]], axis=1))
    return result


def _corners(mask: Mask) -> tuple[Loop, Loop, list[int], list[int]]:
    """x and y of all corners from the top left on, and the next one in the row and the column.

    Where two pixels touch at a corner alone, it counts twice, once for each.
    """
    padded = np.pad(mask, 1)
    top_left, top_right = padded[:-1, :-1], padded[:-1, 1:]
    low_left, low_right = padded[1:, :-1], padded[1:, 1:]
    single = top_left ^ top_right ^ low_left ^ low_right
    falling = top_left & low_right & ~top_right & ~low_left
    rising = top_right & low_left & ~top_left & ~low_right
    y, x = np.nonzero(single | falling | rising)
    times = 1 + (falling | rising)[y, x].astype(np.int64)
    is_rising = np.repeat(rising[y, x], times)
    x, y = np.repeat(x, times), np.repeat(y, times)
    second = np.zeros(len(x), np.int64)
    second[1:] = (x[1:] == x[:-1]) & (y[1:] == y[:-1])
    # Of a doubled corner the first has the edge to the left, the second the one to the right; the
    # edge upwards belongs to the pixel that has it.
    upward = np.where(is_rising, 1 - second, second)
    in_rows = np.arange(len(x))
    in_columns = np.lexsort((upward, y, x))
    return x, y, _partners(in_rows), _partners(in_columns)


def _partners(order: Loop) -> list[int]:
    """Joins first and second, third and fourth, and so on."""
    partner = np.empty_like(order)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    return partner.tolist()


class _HorizontalEdges:
    """Finds the edge that covers a place; edges of one row do not overlap."""

    def __init__(self, found: list[Loop], width: int):
        self._stride = width + 1
        starts = [np.minimum(loop[0::2, 0], loop[1::2, 0]) for loop in found]
        rows = [loop[0::2, 1] for loop in found]
        keys = np.concatenate(rows) * self._stride + np.concatenate(starts)
        sizes = [len(row) for row in rows]
        self._loops = np.repeat(np.arange(len(found)), sizes)
        self._places = np.concatenate([2 * np.arange(size) for size in sizes])
        self._order = np.argsort(keys)
        self._keys = keys[self._order]

    def find(self, x: int, y: int) -> tuple[int, int]:
        """Number of the loop, and of the corner at which the edge begins."""
        place = np.searchsorted(self._keys, y * self._stride + x, side="right") - 1
        edge = int(self._order[place])
        return int(self._loops[edge]), int(self._places[edge])


def _with_parts(
    loop: Loop, parts: dict[int, list[tuple[int, list[tuple[int, int]]]]]
) -> list[tuple[int, int]]:
    """The corners of a loop, with what leads away from its edges."""
    corners = [(int(x), int(y)) for x, y in loop.tolist()]
    line: list[tuple[int, int]] = []
    for number, corner in enumerate(corners):
        line.append(corner)
        if number in parts:
            forward = corners[number + 1][0] > corner[0]
            for _, way in sorted(parts[number], key=lambda part: part[0], reverse=not forward):
                line += way
    return line
