"""CVAT's XML 1.1 "for images", read in one pass; what could expand or fetch is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError, first_few
from dualseg.core.geometry import Size
from dualseg.core.labels import Color
from dualseg.data.datasets.coco_shapes import Patch, Points, polygon_patch
from dualseg.data.datasets.folder_drawn import require_size

MAX_XML_BYTES = 1 << 30
MAX_DEPTH = 64
MAX_WORDS = 1000  # pieces of a name
ELLIPSE_CORNERS = 64
WITHOUT_AREA = ("polyline", "points", "cuboid", "skeleton")
Attributes = Mapping[str, str]


@dataclass(frozen=True)
class CvatShape:
    """A shape of an image.

    Args:
        label: Its class.
        z_order: Higher ones lie on top.
        points: Corners of an outline; None for a mask.
        runs: Off and on in turn, row by row of a mask's box.
        box: Left, top, width and height of a mask.
    """

    label: str
    z_order: int
    points: Points | None = None
    runs: NDArray[np.int64] | None = None
    box: tuple[int, int, int, int] = (0, 0, 0, 0)

    def patch(self, size: Size) -> Patch | None:
        """Its pixels in an image of this size; what lies outside is cut off.

        Raises:
            ValueError: The runs do not fill the box, or the outline cannot be drawn.
        """
        if self.points is not None:
            return polygon_patch(self.points, size)
        assert self.runs is not None
        left, top, width, height = self.box
        values = np.arange(len(self.runs)) % 2 == 1
        mask = np.repeat(values, self.runs).reshape(height, width)
        cut_top, cut_left = max(0, -top), max(0, -left)
        inside = mask[cut_top : max(0, size[0] - top), cut_left : max(0, size[1] - left)]
        return Patch(top + cut_top, left + cut_left, inside) if inside.any() else None


@dataclass
class CvatImage:
    """An image of a CVAT file, with its shapes in the order they are drawn."""

    name: str
    subset: str
    size: Size
    shapes: list[CvatShape] = field(default_factory=list)


@dataclass
class CvatFile:
    """What a CVAT file says: its labels with their colours, and its images."""

    labels: dict[str, Color | None] = field(default_factory=dict)
    images: list[CvatImage] = field(default_factory=list)


def read_cvat(path: Path, *, max_pixels: int) -> CvatFile:
    """Reads a file.

    Args:
        path: XML.
        max_pixels: Of an image, at most.

    Raises:
        InputError: It is too large, no XML, declares a document type or entities, is of videos, or
            has faults; these are listed with their line.
    """
    reader = _Reader(max_pixels)
    parser = expat.ParserCreate("utf-8")  # whatever the file says of itself
    parser.StartElementHandler = lambda name, attributes: reader.start(
        name, attributes, parser.CurrentLineNumber
    )
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    try:
        if path.stat().st_size > MAX_XML_BYTES:
            raise InputError(f"{path} is larger than {MAX_XML_BYTES >> 20} MiB, too much")
        with path.open("rb") as file:
            parser.ParseFile(file)
    except expat.ExpatError as error:
        raise InputError(f"{path} is no XML ({error}); is it cut off?") from None
    except _RefusedError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if reader.faults:
        raise InputError(f"{path} has {len(reader.faults)} faults:", first_few(reader.faults))
    for image in reader.result.images:
        image.shapes.sort(key=lambda shape: shape.z_order)
    return reader.result


class _RefusedError(ValueError):
    """What no CVAT file has."""


def _refuse(*_: object) -> int:
    raise _RefusedError("declares a document type or entities, which CVAT's files do not; refused")


class _Reader:
    def __init__(self, max_pixels: int):
        self.result = CvatFile()
        self.faults: list[str] = []
        self._max_pixels = max_pixels
        self._path: list[str] = []
        self._words: list[str] = []
        self._image: CvatImage | None = None
        self._label = ""

    def start(self, name: str, attributes: Attributes, line: int) -> None:
        self._path.append(name)
        self._words.clear()
        if len(self._path) > MAX_DEPTH:
            raise _RefusedError(f"has more than {MAX_DEPTH} elements in each other; refused")
        if name == "track":
            raise _RefusedError('is of videos ("CVAT for video"); export it as "CVAT for images"')
        try:
            if name == "image" and len(self._path) == 2:
                self._start_image(attributes)
            elif self._image is not None and len(self._path) == 3:
                self._add_shape(name, attributes)
        except (ValueError, OverflowError) as error:
            self.faults.append(f"line {line}: {error}")
        except KeyError as error:
            self.faults.append(f"line {line}: {name} has no {error.args[0]}")

    def end(self, name: str) -> None:
        del self._path[-1]
        text = "".join(self._words).strip()
        self._words.clear()
        if name == "image" and len(self._path) == 1:
            self._image = None
        elif self._path[-2:] == ["labels", "label"]:
            if name == "name":
                self._label = text
                self.result.labels.setdefault(text, None)
            elif name == "color" and self._label:
                self.result.labels[self._label] = _color(text)

    def text(self, words: str) -> None:
        if self._path[-1] in ("name", "color") and len(self._words) < MAX_WORDS:
            self._words.append(words)

    def _start_image(self, given: Attributes) -> None:
        sides = int(given["height"]), int(given["width"])
        size = require_size(*sides, max_pixels=self._max_pixels)
        self._image = CvatImage(given["name"], given.get("subset", ""), size)
        self.result.images.append(self._image)

    def _add_shape(self, kind: str, given: Attributes) -> None:
        assert self._image is not None
        if kind == "tag":
            return
        if kind in WITHOUT_AREA:
            raise ValueError(f"{self._image.name}: a {kind} covers no area")
        z_order = int(given.get("z_order", "0"))
        label = given["label"]
        if kind == "mask":
            runs, box = _mask(given, self._max_pixels)
            self._image.shapes.append(CvatShape(label, z_order, runs=runs, box=box))
            return
        outlines = {"polygon": _polygon, "box": _box, "ellipse": _ellipse}
        if kind not in outlines:
            raise ValueError(f"{self._image.name}: {kind} is no shape that is known")
        points = outlines[kind](given)
        if not np.isfinite(points).all():
            raise ValueError(f"{self._image.name}: a point is no number")
        self._image.shapes.append(CvatShape(label, z_order, points))


def _polygon(given: Attributes) -> Points:
    points = [
        [float(number) for number in point.split(",")] for point in given["points"].split(";")
    ]
    if len(points) < 3 or any(len(point) != 2 for point in points):
        raise ValueError("a polygon is x,y;x,y;x,y of three points or more")
    return np.array(points)


def _box(given: Attributes) -> Points:
    left, top, right, bottom = (float(given[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    return _turned(corners, given)


def _ellipse(given: Attributes) -> Points:
    x, y, rx, ry = (float(given[name]) for name in ("cx", "cy", "rx", "ry"))
    turn = np.linspace(0, 2 * np.pi, ELLIPSE_CORNERS, endpoint=False)
    return _turned(np.stack([x + rx * np.cos(turn), y + ry * np.sin(turn)], axis=1), given)


def _turned(corners: Points, given: Attributes) -> Points:
    """Rotated clockwise about its middle, by degrees."""
    angle = np.deg2rad(float(given.get("rotation", "0")))
    if angle == 0:
        return corners
    middle = corners.mean(axis=0)
    cos, sin = np.cos(angle), np.sin(angle)
    return middle + (corners - middle) @ np.array([[cos, sin], [-sin, cos]])


def _mask(
    given: Attributes, max_pixels: int
) -> tuple[NDArray[np.int64], tuple[int, int, int, int]]:
    left, top, width, height = (int(given[name]) for name in ("left", "top", "width", "height"))
    require_size(height, width, max_pixels=max_pixels)
    runs = np.array([int(run) for run in given["rle"].split(",")], np.int64)
    if (runs < 0).any() or (runs > width * height).any() or runs.sum() != width * height:
        raise ValueError(f"the runs of a mask do not fill its {height}x{width} pixels")
    return runs, (left, top, width, height)


def _color(text: str) -> Color | None:
    try:
        packed = int(text.removeprefix("#"), 16)
    except ValueError:
        return None
    return (packed >> 16, packed >> 8 & 255, packed & 255) if 0 <= packed < 1 << 24 else None
