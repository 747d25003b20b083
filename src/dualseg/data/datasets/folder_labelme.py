"""LabelMe's files: a JSON of shapes beside each image."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError, first_few
from dualseg.core.labels import MAX_CLASSES, LabelSpec, voc_palette
from dualseg.data.dataset import Pair
from dualseg.data.datasets.coco_shapes import fill_polygon
from dualseg.data.images import IMAGE_SUFFIXES, read_size

MAX_JSON_BYTES = 1 << 26  # LabelMe may put the whole image into it
BACKGROUND = "background"
CIRCLE_CORNERS = 64


@dataclass(frozen=True)
class LabelMeReader:
    """Draws the shapes of a pair's JSON as class ids; later shapes lie on top.

    Args:
        class_names: Background first.
    """

    class_names: tuple[str, ...]

    def __call__(self, pair: Pair) -> NDArray[np.uint8]:
        """(H, W) class ids of the image's size."""
        size = read_size(pair.image)
        label_map = np.zeros(size, np.uint8)
        for name, corners in _shapes(pair.label):
            if name not in self.class_names:
                raise InputError(f"{pair.label}: label {name!r} is no class of this data set")
            mask = np.zeros(size, np.bool_)
            fill_polygon(mask, corners)
            label_map[mask] = self.class_names.index(name)
        return label_map


def find_labelme_pairs(root: Path) -> tuple[Pair, ...]:
    """Images of a folder with a JSON of the same name; none where no such JSON lies there.

    Raises:
        InputError: Some images have no JSON, or two images share one.
    """
    images = [
        path
        for path in sorted(root.iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    if not any(path.with_suffix(".json").is_file() for path in images):
        return ()
    faults = [f"{p.name} has no .json" for p in images if not p.with_suffix(".json").is_file()]
    stems = [path.stem for path in images]
    faults += [
        f"{stem}.json has two images" for stem in sorted({s for s in stems if stems.count(s) > 1})
    ]
    if faults:
        raise InputError(f"images and LabelMe files in {root} do not fit:", first_few(faults))
    return tuple(Pair(path.stem, path, path.with_suffix(".json")) for path in images)


def describe_labelme(
    pairs: Sequence[Pair], class_names: tuple[str, ...] | None
) -> tuple[LabelSpec, tuple[str, ...], LabelMeReader]:
    """Classes of all shapes, by name, after the background.

    Args:
        pairs: Of all splits.
        class_names: As dataset.yaml has them, the background first; else those that occur.

    Raises:
        InputError: A file is no LabelMe file, or there are no shapes or too many classes.
    """
    shapes: dict[str, int] = {}
    faults = []
    for pair in pairs:
        try:
            for name, _ in _shapes(pair.label):
                shapes[name] = shapes.get(name, 0) + 1
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError(f"{len(faults)} LabelMe files cannot be read:", first_few(faults))
    names = class_names or (BACKGROUND, *sorted(set(shapes) - {BACKGROUND}))
    strange = sorted(set(shapes) - set(names))
    if strange or not 2 <= len(names) <= MAX_CLASSES:
        raise InputError(
            f"LabelMe shapes: {len(names)} classes ({', '.join(names[:12])}), without a class: "
            f"{', '.join(strange) or 'none'}; give all of them in class_names of dataset.yaml"
        )
    notes = [
        f"classes: {len(names)} ({', '.join(names[:12])})",
        f"labels: LabelMe shapes; pixels outside of them are {names[0]}",
        *(f"  {name}: {shapes.get(name, 0)} shapes" for name in names[1:]),
    ]
    return LabelSpec(names, voc_palette(len(names))), tuple(notes), LabelMeReader(names)


def _shapes(path: Path) -> list[tuple[str, NDArray[np.float64]]]:
    """Label and corners of each shape, in the order they are drawn."""
    if path.stat().st_size > MAX_JSON_BYTES:
        raise InputError(f"{path} is larger than {MAX_JSON_BYTES >> 20} MiB, too much for shapes")
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        return [(str(shape["label"]), _corners(shape)) for shape in given["shapes"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is no LabelMe file of polygons, rectangles and circles ({error})"
        ) from error


def _corners(shape: Any) -> NDArray[np.float64]:
    points = np.asarray(shape["points"], np.float64).reshape(-1, 2)
    kind = shape.get("shape_type") or "polygon"
    if not np.isfinite(points).all():
        raise ValueError("a point is no number")
    if kind == "polygon" and len(points) >= 3:
        return points
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    if kind == "circle" and len(points) == 2:
        radius = float(np.hypot(*(points[1] - points[0])))
        turn = np.linspace(0, 2 * np.pi, CIRCLE_CORNERS, endpoint=False)
        return points[0] + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    raise ValueError(f"shape_type {kind!r} with {len(points)} points covers no area")
