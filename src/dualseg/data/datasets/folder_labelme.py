"""LabelMe's files: a JSON of shapes for each image, beside it or in a parallel folder.

Later shapes lie on top. Points outside of the image are cut off at its border.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError, first_few
from dualseg.core.geometry import Size
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import PLAIN, Pair
from dualseg.data.datasets.coco_shapes import Points, polygon_patch
from dualseg.data.datasets.dataset_yaml import LEAVE_OUT, Declaration
from dualseg.data.datasets.folder_drawn import (
    Drawn,
    Names,
    class_ids,
    classes_of_names,
    draw,
    read_json_object,
    require_size,
    splits_of,
)
from dualseg.data.datasets.folder_listing import pictures
from dualseg.data.datasets.folder_places import (
    ANNOTATION_FOLDERS,
    Place,
    find_places,
    head,
    labelled_places,
)
from dualseg.data.pictures.images import read_size

MAX_JSON_BYTES = 1 << 26  # LabelMe may put the whole image into it
LABEL_FOLDERS = (*ANNOTATION_FOLDERS, "labelme", "json", "jsons", "labels")
CIRCLE_CORNERS = 64


@dataclass(frozen=True)
class LabelMeReader:
    """Draws the shapes of a pair's JSON as class ids; later shapes lie on top.

    Args:
        class_names: Background first.
        images: How the images are read; only their size is needed.
    """

    class_names: tuple[str, ...]
    images: ImageSpec = PLAIN

    def __call__(self, pair: Pair) -> NDArray[np.uint8]:
        """(H, W) class ids, of the size that the JSON states, else of the image's."""
        stated, shapes = _read(pair.label, self.images.max_pixels)
        size = stated or read_size(pair.image, self.images)
        ids = class_ids(self.class_names)
        unknown = sorted({name for name, _ in shapes} - set(ids))
        if unknown:
            raise InputError(
                f"{pair.label}: label {', '.join(map(repr, unknown))} is no class of this data set"
            )
        try:
            return draw(size, [(ids[name], polygon_patch(at, size)) for name, at in shapes])
        except ValueError as error:
            raise InputError(f"{pair.label}: {error}") from None


def describe_labelme(
    root: Path, declaration: Declaration, known: LabelSpec | None = None
) -> Drawn | None:
    """A folder of LabelMe files; None where there are none.

    Args:
        root: Images with a JSON of the same name beside each, in train/ and val/ or not; or
            images/ and annotations/, perhaps with these in them.
        declaration: What the user's `dataset.yaml` says.
        known: A network's classes; see `classes_of_names`.

    Raises:
        InputError: Some images have no JSON, a file is no LabelMe file, or there are no shapes or
            too many classes.
    """
    there = find_places(root, LABEL_FOLDERS, beside=True)
    places, unread = labelled_places(root, there, _holds)
    if not places:
        return None
    left_out: list[str] = []
    pairs = {place.split: _pairs(place, declaration, left_out) for place in places}
    names, faults = Names(), []
    for pair in (pair for found in pairs.values() for pair in found):
        try:
            names.count(name for name, _ in _read(pair.label, declaration.images.max_pixels)[1])
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError(f"{len(faults)} LabelMe files cannot be read:", first_few(faults))
    labels, _, notes = classes_of_names("LabelMe shapes", names, declaration, known)
    splits, told = splits_of(pairs, root, allow_missing=declaration.allow_missing)
    reader = LabelMeReader(labels.class_names, declaration.images)
    return Drawn(splits, labels, (*told, *notes, *unread, *first_few(left_out)), reader)


def _holds(place: Place) -> bool:
    """Whether an image there has a JSON of its name that begins as LabelMe's do."""
    files = (place.labels / f"{image.stem}.json" for image in pictures(place.images))
    first = next((file for file in files if file.is_file()), None)
    return first is not None and (place.images == place.labels or b'"shapes"' in head(first))


def _pairs(place: Place, declaration: Declaration, left_out: list[str]) -> tuple[Pair, ...]:
    images = pictures(place.images)
    stems = [path.stem for path in images]
    files = {stem: place.labels / f"{stem}.json" for stem in stems}
    missing = [f"{p.name} has no .json" for p in images if not files[p.stem].is_file()]
    times = Counter(stems)
    faults = [f"{stem}.json has two images" for stem in sorted(times) if times[stem] > 1]
    alone = [file for file in sorted(place.labels.glob("*.json")) if file.stem not in files]
    if place.images == place.labels:  # other JSON files may lie there too
        alone = [file for file in alone if b'"shapes"' in head(file)]
    missing += [f"{file.name} has no image" for file in alone]
    if declaration.allow_missing:
        left_out += [f"left out: {line}" for line in missing]
    else:
        faults = [*missing, *faults]
    if faults:
        raise InputError(
            f"images and LabelMe files in {place.images} do not fit"
            f"{f'; {LEAVE_OUT}' if missing and not declaration.allow_missing else ''}:",
            first_few(faults),
        )
    return tuple(Pair(p.stem, p, files[p.stem]) for p in images if files[p.stem].is_file())


def _read(path: Path, max_pixels: int) -> tuple[Size | None, Sequence[tuple[str, Points]]]:
    """The image's size where it is stated, and label and corners of each shape, in order."""
    given = read_json_object(path, MAX_JSON_BYTES)
    try:
        shapes = [(str(shape["label"]), _corners(shape)) for shape in given["shapes"]]
        sides = given.get("imageHeight"), given.get("imageWidth")
        size = None if None in sides else require_size(*sides, max_pixels=max_pixels)
        return size, shapes
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path} is no LabelMe file of polygons, rectangles and circles ({error})"
        ) from error


def _corners(shape: Any) -> Points:
    points = np.asarray(shape["points"], np.float64).reshape(-1, 2)
    kind = shape.get("shape_type") or "polygon"
    if not np.isfinite(points).all():
        raise ValueError("a point is no number")
    if kind == "polygon" and len(points) >= 3:
        return points
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    if kind == "rectangle" and len(points) == 4:  # all corners, in whatever order
        around = np.arctan2(*(points - points.mean(axis=0)).T)
        return points[np.argsort(around)]
    if kind == "circle" and len(points) == 2:
        radius = float(np.hypot(*(points[1] - points[0])))
        turn = np.linspace(0, 2 * np.pi, CIRCLE_CORNERS, endpoint=False)
        return points[0] + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    raise ValueError(f"shape_type {kind!r} with {len(points)} points covers no area")
