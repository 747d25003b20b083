"""A picture and its label map, drawn together stroke by stroke, and the camera that places strokes.

Everything is drawn without antialiasing at twice the final size. Shrinking then antialiases the
image, and gives each label pixel the class of most of its four parts.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dualseg.core.geometry import Size

Rgb = Sequence[float] | NDArray[Any]
Point = tuple[float, float]
Picture = NDArray[np.uint8]

NEAREST = 1.2  # metres; nothing closer is drawn


class Camera:
    """A pinhole camera over a flat street.

    World: X metres to the right of the street's middle, Y up from the ground, Z ahead.

    Args:
        focal: Focal length in pixels.
        horizon: (x, y) pixel of the vanishing point.
        height: Metres above the ground.
        x: Metres right of the street's middle.
    """

    def __init__(self, *, focal: float, horizon: Point, height: float, x: float):
        self.focal = focal
        self.horizon = horizon
        self.height = height
        self.x = x

    def point(self, x: float, y: float, z: float) -> Point:
        """World metres -> (column, row) in pixels."""
        scale = self.focal / max(z, NEAREST)
        return (
            self.horizon[0] + (x - self.x) * scale,
            self.horizon[1] + (self.height - y) * scale,
        )

    def points(self, world: Sequence[tuple[float, float, float]]) -> list[Point]:
        """Several at once."""
        return [self.point(*where) for where in world]

    def pixels(self, metres: float, z: float) -> float:
        """How long something `z` metres away looks."""
        return self.focal * metres / max(z, NEAREST)


class Canvas:
    """An RGB picture and a label map of the same size.

    Args:
        size: (height, width) in pixels.
        background: Class of what is never drawn over.
    """

    def __init__(self, size: Size, background: int):
        self.size = size
        self.picture = np.zeros((*size, 3), np.uint8)
        self.labels = np.full(size, background, np.uint8)

    def polygon(self, points: Sequence[Point], color: Rgb, class_id: int) -> None:
        """A filled polygon."""
        corners = _pixels(points)
        cv2.fillPoly(self.picture, [corners], _scalar(color))
        cv2.fillPoly(self.labels, [corners], (class_id,))

    def line(self, points: Sequence[Point], color: Rgb, class_id: int, width: float = 2) -> None:
        """An open line through the points, at least one pixel wide."""
        path, thickness = _pixels(points), max(1, round(width))
        cv2.polylines(self.picture, [path], False, _scalar(color), thickness)
        cv2.polylines(self.labels, [path], False, (class_id,), thickness)

    def ellipse(
        self, center: Point, axes: Point, color: Rgb, class_id: int, width: float | None = None
    ) -> None:
        """A filled ellipse with half `axes`, or its outline of a width."""
        middle = (round(center[0]), round(center[1]))
        half = (max(1, round(axes[0])), max(1, round(axes[1])))
        thickness = -1 if width is None else max(1, round(width))
        cv2.ellipse(self.picture, middle, half, 0, 0, 360, _scalar(color), thickness)
        cv2.ellipse(self.labels, middle, half, 0, 0, 360, (class_id,), thickness)

    def texture(self, texture: Picture, corners: Sequence[Point], class_id: int) -> None:
        """A picture stretched over four corners, clockwise from its top left one."""
        bounds = self._bounds(corners)
        if bounds is None:
            return
        left, top, right, bottom = bounds
        height, width = texture.shape[:2]
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        target = np.array(corners, np.float32) - np.array([left, top], np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)
        size = (right - left, bottom - top)
        drawn = cv2.warpPerspective(texture, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros(size[::-1], np.uint8)
        cv2.fillPoly(mask, [_pixels(target.tolist())], (1,))
        cv2.copyTo(drawn, mask, self.picture[top:bottom, left:right])
        self.labels[top:bottom, left:right][mask > 0] = class_id

    def stamp(
        self, brightness: Picture, mask: Picture, box: Sequence[float], color: Rgb, class_id: int
    ) -> None:
        """A small gray picture in a colour, where its mask is set, stretched over a box.

        Args:
            brightness, mask: (h, w); 255 is the full colour, mask above 127 is drawn.
            box: left, top, right, bottom.
            color: RGB.
            class_id: For the label map.
        """
        x0, y0, x1, y1 = (round(side) for side in box)
        size = (max(1, x1 - x0), max(1, y1 - y0))
        left, top = max(0, x0), max(0, y0)
        right, bottom = min(self.size[1], x0 + size[0]), min(self.size[0], y0 + size[1])
        if left >= right or top >= bottom:
            return
        part = np.s_[top - y0 : bottom - y0, left - x0 : right - x0]
        light = cv2.resize(brightness, size, interpolation=cv2.INTER_LINEAR)[part]
        drawn = cv2.merge([cv2.convertScaleAbs(light, alpha=value / 255) for value in color])
        shown = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)[part] // 128
        cv2.copyTo(drawn, shown, self.picture[top:bottom, left:right])
        self.labels[top:bottom, left:right][shown > 0] = class_id

    def shade(self, points: Sequence[Point], brightness: float) -> None:
        """A shadow or a patch of another tone: darkens the picture, leaves the labels."""
        bounds = self._bounds(points)
        if bounds is None:
            return
        left, top, right, bottom = bounds
        mask = np.zeros((bottom - top, right - left), np.uint8)
        cv2.fillPoly(mask, [_pixels(points) - np.array([left, top], np.int32)], (1,))
        part = self.picture[top:bottom, left:right]
        cv2.copyTo(cv2.convertScaleAbs(part, alpha=brightness), mask, part)

    def shrunk(self) -> tuple[Picture, Picture]:
        """The picture and the label map at half size.

        Of two classes with equal shares of a label pixel the one with the higher id wins; thin
        things have the higher ids.
        """
        height, width = self.size[0] // 2, self.size[1] // 2
        shrunk = cv2.resize(self.picture, (width, height), interpolation=cv2.INTER_AREA)
        picture = np.asarray(shrunk, np.uint8)
        ids = self.labels
        a, b, c, d = ids[::2, ::2], ids[::2, 1::2], ids[1::2, ::2], ids[1::2, 1::2]
        # Sort the four: first <= second <= third <= fourth.
        low, high = np.minimum(a, b), np.maximum(a, b)
        other_low, other_high = np.minimum(c, d), np.maximum(c, d)
        first, fourth = np.minimum(low, other_low), np.maximum(high, other_high)
        inner, outer = np.maximum(low, other_low), np.minimum(high, other_high)
        second, third = np.minimum(inner, outer), np.maximum(inner, outer)
        lower_pair = (first == second) & (third != fourth)
        return picture, np.where(second == third, second, np.where(lower_pair, first, fourth))

    def _bounds(self, points: Sequence[Point]) -> tuple[int, int, int, int] | None:
        """left, top, right, bottom of the points within the canvas; None where nothing is."""
        xs, ys = [x for x, _ in points], [y for _, y in points]
        left, top = max(0, int(min(xs)) - 1), max(0, int(min(ys)) - 1)
        right = min(self.size[1], int(max(xs)) + 2)
        bottom = min(self.size[0], int(max(ys)) + 2)
        return (left, top, right, bottom) if left < right and top < bottom else None


def _pixels(points: Sequence[Point]) -> NDArray[np.int32]:
    return np.rint(np.array(points, np.float64)).astype(np.int32)


def _scalar(color: Rgb) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in color)
    return red, green, blue
