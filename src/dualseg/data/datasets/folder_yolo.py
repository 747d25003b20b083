"""YOLO's label files for segmentation: a class number and a polygon on each line.

Coordinates are shares of the image's width and height; later lines lie on top, the rest is
background, and so is an image without a label file. Points outside of the image are cut off at its
border.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.config import read_yaml
from dualseg.core.errors import InputError, first_few
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import PLAIN, Pair
from dualseg.data.datasets.coco_shapes import Points, polygon_patch
from dualseg.data.datasets.dataset_yaml import DECLARATION_FILE, LEAVE_OUT, Declaration
from dualseg.data.datasets.folder_drawn import (
    BACKGROUNDS,
    Drawn,
    Names,
    classes_of_names,
    draw,
    read_text,
    splits_of,
)
from dualseg.data.datasets.folder_listing import pictures
from dualseg.data.datasets.folder_names import same_name
from dualseg.data.datasets.folder_pairs import SPLIT_FOLDERS
from dualseg.data.datasets.folder_places import Place, find_places, labelled_places
from dualseg.data.datasets.folder_text_lists import Listed, read_lists
from dualseg.data.pictures.images import read_size

MAX_TXT_BYTES = 1 << 26
MAX_SHARE = 2.0  # a number beyond this is meant in pixels
LABEL_FOLDERS = ("labels",)
NAME_FILES = ("data.yaml", "data.yml")


@dataclass(frozen=True)
class YoloReader:
    """Draws the polygons of a pair's label file as class ids; later lines lie on top.

    Args:
        ids: The class id of each number.
        images: How the images are read; only their size is needed.
    """

    ids: tuple[int, ...]
    images: ImageSpec = PLAIN

    def __call__(self, pair: Pair) -> NDArray[np.uint8]:
        """(H, W) class ids of the image's size."""
        size = read_size(pair.image, self.images)
        sides = np.array([size[1], size[0]], np.float64)
        shapes = _read(pair, len(self.ids))
        try:
            return draw(
                size, ((self.ids[number], polygon_patch(at * sides, size)) for number, at in shapes)
            )
        except ValueError as error:
            raise InputError(f"{pair.label}: {error}") from None


def describe_yolo(
    root: Path, declaration: Declaration, known: LabelSpec | None = None
) -> Drawn | None:
    """A folder of YOLO's polygons; None where there are none.

    Args:
        root: images/ and labels/, perhaps with train/ and val/ in them, or the reverse; the names
            of the classes in `data.yaml`, else `class_names` of `dataset.yaml`, the background
            first and not counted.
        declaration: What the user's `dataset.yaml` says.
        known: A network's classes; see `classes_of_names`.

    Raises:
        InputError: There are no names, a file has faults (boxes are one), or has no image.
    """
    places, unread = labelled_places(root, find_places(root, LABEL_FOLDERS), _holds)
    if not places:
        return None
    stated = _names(root, declaration)
    left_out: list[str] = []
    pairs = {place.split: _pairs(place, declaration, left_out) for place in places}
    names, faults, empty = Names(stated), [], 0
    for pair in (pair for found in pairs.values() for pair in found):
        empty += pair.label == pair.image
        try:
            names.count(stated[number] for number, _ in _read(pair, len(stated)))
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError(f"{len(faults)} YOLO label files have faults:", first_few(faults))
    labels, ids, notes = classes_of_names("YOLO polygons", names, declaration, known)
    missing = [name for name in stated if name not in ids]
    if missing:
        raise InputError(
            f"{root}: class_names of {DECLARATION_FILE} lacks {', '.join(missing)}, which "
            "data.yaml names"
        )
    splits, told = splits_of(
        pairs, root, allow_missing=declaration.allow_missing, lists=_lists(root)
    )
    alone = (f"images: {empty} without a label file are background",) if empty else ()
    reader = YoloReader(tuple(ids[name] for name in stated), declaration.images)
    return Drawn(splits, labels, (*told, *notes, *unread, *alone, *first_few(left_out)), reader)


def _holds(place: Place) -> bool:
    return next(place.labels.glob("*.txt"), None) is not None


def _pairs(place: Place, declaration: Declaration, left_out: list[str]) -> tuple[Pair, ...]:
    there = pictures(place.images)
    images = {path.stem: path for path in there}
    files = {path.stem: path for path in sorted(place.labels.glob("*.txt"))}
    if "classes" not in images:
        files.pop("classes", None)  # some tools put the names there
    alone = sorted(f"{files[s].name} has no image in {place.images}" for s in files.keys() - images)
    faults = [f"{path.name} shares its name with another image" for path in same_name(there)]
    if declaration.allow_missing:
        left_out += [f"left out: {line}" for line in alone]
    else:
        faults = [*alone, *faults]
    if faults:
        advice = f"; {LEAVE_OUT}" if alone and not declaration.allow_missing else ""
        raise InputError(f"label files in {place.labels} do not fit{advice}:", first_few(faults))
    return tuple(Pair(stem, image, files.get(stem, image)) for stem, image in images.items())


def _names(root: Path, declaration: Declaration) -> tuple[str, ...]:
    """The name of each class number."""
    file = _data_yaml(root)
    if file is not None:
        return _listed_names(read_yaml(file).get("names"), file)
    if declaration.class_names is not None:
        first = 1 if declaration.class_names[0] in BACKGROUNDS else 0
        return declaration.class_names[first:]
    raise InputError(
        f"{root} holds YOLO label files but no data.yaml that names the classes; write one: "
        "names: [cat, dog]"
    )


def _data_yaml(root: Path) -> Path | None:
    return next((root / name for name in NAME_FILES if (root / name).is_file()), None)


def _lists(root: Path) -> Listed | None:
    """The lists of images that `data.yaml` names; None where it names none that is there."""
    file = _data_yaml(root)
    given = {} if file is None else read_yaml(file)
    found: dict[Path, str] = {}
    for split in SPLIT_FOLDERS:
        path = root / str(given.get(split))
        inside = path.resolve().is_relative_to(root.resolve())
        if path.suffix != ".txt" or not inside or not path.is_file():
            continue
        if path in found:
            raise InputError(
                f"{file}: {found[path]} and {split} are one list, {path.name}; give each its own"
            )
        found[path] = split
    return read_lists(root, found) if found else None


def _listed_names(given: Any, file: Path) -> tuple[str, ...]:
    if isinstance(given, Mapping) and sorted(map(str, given)) == sorted(
        map(str, range(len(given)))
    ):
        given = [given.get(number, given.get(str(number))) for number in range(len(given))]
    if not isinstance(given, list) or not given or not all(_is_name(name) for name in given):
        raise InputError(
            f"{file}: names is {given!r}; expected a list, or a mapping of 0, 1, 2 ... to names"
        )
    names = tuple(map(str, given))
    if len(set(names)) < len(names):
        raise InputError(f"{file}: a name stands twice in names; give each class its own")
    return names


def _is_name(given: Any) -> bool:
    return isinstance(given, str | int) and not isinstance(given, bool) and bool(str(given).strip())


def _read(pair: Pair, num_names: int) -> list[tuple[int, Points]]:
    """Number of the class and corners (as shares) of each line; none where there is no file."""
    if pair.label == pair.image:
        return []
    shapes, faults = [], []
    for number, line in enumerate(read_text(pair.label, MAX_TXT_BYTES).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            shapes.append(_shape(words, num_names))
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    if faults:
        raise InputError(f"{pair.label}: {'; '.join(first_few(faults, 3, what='lines'))}")
    return shapes


def _shape(words: list[str], num_names: int) -> tuple[int, Points]:
    if len(words) in (5, 6):
        raise ValueError("a box (five numbers), as of detection; boxes are no label of pixels")
    if len(words) < 7 or len(words) % 2 == 0:
        raise ValueError(f"{len(words)} numbers; a class and three x y or more are expected")
    if not words[0].isdecimal() or int(words[0]) >= num_names:
        raise ValueError(f"class {words[0]}; names has {num_names}, 0 to {num_names - 1}")
    numbers = [float(word) for word in words[1:]]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a coordinate is no number")
    if max(map(abs, numbers)) > MAX_SHARE:
        raise ValueError("coordinates in pixels; shares of width and height (0 to 1) are expected")
    return int(words[0]), np.array(numbers, np.float64).reshape(-1, 2)
