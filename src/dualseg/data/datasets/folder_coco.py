"""COCO's JSON in a folder of one's own: one file, or one for each split.

Crowd regions are ignored, beneath everything; on them the annotations in the order of the file,
later ones on top. Points outside of the image are cut off at its border. Categories of one name are
one class. Images without annotations are background.
"""

import re
from collections.abc import Mapping, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError, first_few
from dualseg.core.geometry import Size
from dualseg.core.labels import IGNORE_INDEX, LabelSpec
from dualseg.data.dataset import Pair
from dualseg.data.datasets.coco_shapes import (
    Patch,
    decode_runs,
    polygon_patch,
    runs_mask,
    shape_mask,
)
from dualseg.data.datasets.dataset_yaml import Declaration
from dualseg.data.datasets.folder_drawn import (
    Drawn,
    Names,
    classes_of_names,
    draw,
    images_named,
    read_json_object,
    require_size,
    splits_of,
)
from dualseg.data.datasets.folder_pairs import split_of
from dualseg.data.datasets.folder_places import annotation_files, head

MAX_JSON_BYTES = 1 << 30
OTHER_TASKS = ("captions_", "person_keypoints_", "panoptic_", "image_info_")
LISTS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
KEYS = (b'"images"', b'"annotations"', b'"categories"')


class _Shape(NamedTuple):
    name: str
    is_crowd: bool
    segmentation: Any


class _File(NamedTuple):
    """What a JSON says: sizes and shapes by `file_name`, and the categories."""

    sizes: dict[str, Size]
    shapes: dict[str, list[_Shape]]
    categories: list[str]


class CocoReader:
    """Draws the annotations of an image as class ids.

    Args:
        sizes: (height, width) by label file and name of the pair.
        shapes: Class id and segmentation, by the same; ignored ones first.
    """

    def __init__(
        self,
        sizes: Mapping[tuple[Path, str], Size],
        shapes: Mapping[tuple[Path, str], Sequence[tuple[int, Any]]],
    ):
        self._sizes = sizes
        self._shapes = shapes

    def __call__(self, pair: Pair) -> NDArray[np.uint8]:
        """(H, W) class ids, of the size that the JSON states."""
        key = pair.label, pair.name
        size = self._sizes[key]
        try:
            return draw(
                size,
                (
                    (class_id, patch)
                    for class_id, segmentation in self._shapes.get(key, ())
                    for patch in _patches(segmentation, size)
                ),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{pair.label}: a segmentation of {pair.image.name} is faulty ({error})"
            ) from None


def describe_coco(
    root: Path, declaration: Declaration, known: LabelSpec | None = None
) -> Drawn | None:
    """A folder with COCO's JSON files; None where there are none.

    Args:
        root: Holds them itself, in annotations/ or in split folders; the images lie in images/, in
            split folders or beside the JSON.
        declaration: What the user's `dataset.yaml` says.
        known: A network's classes; see `classes_of_names`.

    Raises:
        InputError: A file has faults, an image is missing, or two files are of one split.
    """
    files = _files_by_split(root)
    if not files:
        return None
    names, pairs, notes = Names(), {}, []
    read: dict[Path, tuple[_File, dict[str, str]]] = {}
    for split, file in files.items():
        found = _read(file, declaration.images.max_pixels)
        names.order = list(dict.fromkeys([*names.order, *found.categories]))
        names.count(s.name for shapes in found.shapes.values() for s in shapes if not s.is_crowd)
        images = images_named(root, file, list(found.sizes), split, declaration, notes)
        pairs[split] = _pairs(file, list(found.sizes), images)
        read[file] = found, {pair.name: file_name for pair, file_name in pairs[split]}
        empty = len(found.sizes) - len(found.shapes)
        notes += [f"{file.name}: {empty} images without annotations"] if empty else []
        crowds = sum(s.is_crowd for shapes in found.shapes.values() for s in shapes)
        notes += [f"{file.name}: {crowds} crowd regions are ignored"] if crowds else []
    labels, ids, class_notes = classes_of_names("COCO annotations", names, declaration, known)
    sizes, shapes = {}, {}
    for file, (found, named) in read.items():
        for name, file_name in named.items():
            sizes[file, name] = found.sizes[file_name]
            by_crowd = sorted(found.shapes.get(file_name, ()), key=lambda shape: not shape.is_crowd)
            shapes[file, name] = [
                (IGNORE_INDEX if shape.is_crowd else ids[shape.name], shape.segmentation)
                for shape in by_crowd
            ]
    of_split = {split: [pair for pair, _ in found] for split, found in pairs.items()}
    splits, told = splits_of(of_split, root, allow_missing=declaration.allow_missing)
    return Drawn(splits, labels, (*told, *class_notes, *notes), CocoReader(sizes, shapes))


def _files_by_split(root: Path) -> dict[str, Path]:
    """Split, or "" for one that says none -> JSON."""
    jsons = [
        path for path in annotation_files(root, ".json") if not path.name.startswith(OTHER_TASKS)
    ]
    found = [path for path in jsons if _looks_like_coco(path)]
    if not found:
        for path in jsons:
            start = head(path)
            if LISTS.search(start) and start.lstrip()[:1] == b"{":
                read_json_object(path, MAX_JSON_BYTES)  # which tells where it is cut off
        return {}
    instances = [path for path in found if path.name.startswith("instances")]
    chosen = instances or found
    if len(chosen) == 1:
        return {_split_in(chosen[0], root) or "": chosen[0]}
    files: dict[str, Path] = {}
    for path in chosen:
        split = _split_in(path, root)
        if split is None or split in files:
            listed = first_few([str(path.relative_to(root)) for path in chosen])
            raise InputError(
                f"{root} holds several COCO files, but not one for each split; name each as its "
                "split (instances_train.json, instances_val.json) and keep one of each:",
                listed,
            )
        files[split] = path
    return files


def _looks_like_coco(path: Path) -> bool:
    """Whether two of COCO's three lists are in it; a file that is cut off may lack the third."""
    if not LISTS.search(head(path)):
        return False
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return sum(content.find(key) >= 0 for key in KEYS) >= 2


def _split_in(path: Path, root: Path) -> str | None:
    words = re.split(r"[^A-Za-z]+", path.stem)
    inner = [split_of(path.parent.name)] if path.parent != root else []
    return next((split for split in (*inner, *map(split_of, words)) if split), None)


def _pairs(
    file: Path, names: Sequence[str], images: Sequence[Path | None]
) -> list[tuple[Pair, str]]:
    """Pairs of the images that are there, and what the file calls them."""
    return [
        (Pair(Path(name).with_suffix("").as_posix(), image, file), name)
        for name, image in zip(names, images, strict=True)
        if image is not None
    ]


def _read(file: Path, max_pixels: int) -> _File:
    content = read_json_object(file, MAX_JSON_BYTES)
    faults: list[str] = []
    names: dict[Any, str] = {}
    result = _File({}, {}, [])
    try:
        listed = sorted(content["categories"], key=lambda category: category["id"])
        categories = {category["id"]: str(category["name"]) for category in listed}
        result.categories.extend(dict.fromkeys(categories.values()))
        for image in content["images"]:
            name = str(image["file_name"])
            if name in result.sizes or image["id"] in names:
                faults.append(f"image {name} (id {image['id']}) stands there twice")
            names[image["id"]] = name
            try:
                result.sizes[name] = require_size(
                    image["height"], image["width"], max_pixels=max_pixels
                )
            except ValueError as error:
                faults.append(f"image {name}: {error}")
        for number, annotation in enumerate(content["annotations"]):
            try:
                name, shape = _annotation(annotation, names, categories)
            except ValueError as error:
                faults.append(f"annotation {annotation.get('id', f'number {number}')}: {error}")
                continue
            result.shapes.setdefault(name, []).append(shape)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} is no COCO annotation file ({type(error).__name__}: {error})"
        ) from None
    if faults:
        raise InputError(f"{file} has {len(faults)} faults:", first_few(faults))
    return result


def _annotation(
    given: Mapping[str, Any], names: Mapping[Any, str], categories: Mapping[Any, str]
) -> tuple[str, _Shape]:
    """The image's name and the shape."""
    image, category = given["image_id"], given["category_id"]
    if image not in names:
        raise ValueError(f"there is no image with id {image!r}")
    if category not in categories:
        raise ValueError(f"{names[image]}: there is no category with id {category!r}")
    segmentation = given.get("segmentation")
    if not segmentation:
        raise ValueError(
            f"{names[image]}: it has no segmentation, only a box; boxes are no label of pixels"
        )
    try:
        compact = _compact(segmentation)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{names[image]}: its segmentation is faulty ({error})") from None
    return names[image], _Shape(categories[category], bool(given.get("iscrowd")), compact)


def _compact(segmentation: Any) -> Any:
    """Numbers as arrays, which take a tenth of the memory of lists."""
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        if isinstance(counts, str):
            return {**segmentation, "counts": counts}
        return {**segmentation, "counts": np.asarray(counts)}
    polygons = [np.asarray(polygon, np.float64) for polygon in segmentation]
    for polygon in polygons:
        if polygon.ndim != 1 or len(polygon) % 2 or len(polygon) < 6:
            raise ValueError("a polygon is a list x, y, x, y, ... of three points or more")
        if not np.isfinite(polygon).all():
            raise ValueError("a point is no number")
    return [polygon.reshape(-1, 2) for polygon in polygons]


def _patches(segmentation: Any, size: Size) -> list[Patch | None]:
    """One alone where a mask is given; a polygon's each else, since together they are its union."""
    if isinstance(segmentation, dict):
        return [runs_patch(segmentation, size)]
    return [polygon_patch(points, size) for points in segmentation]


def runs_patch(segmentation: Mapping[str, Any], size: Size) -> Patch | None:
    """As `shape_mask` of runs, but of the pixels' box alone; None where no pixel is on.

    Args:
        segmentation: {"counts", "size"}.
        size: (height, width) of the image.

    Raises:
        ValueError: As `shape_mask`.
    """
    counts, total = segmentation["counts"], size[0] * size[1]
    runs = np.asarray(decode_runs(counts) if isinstance(counts, str) else counts)
    whole = runs.ndim == 1 and runs.dtype.kind in "iu" and ((runs >= 0) & (runs <= total)).all()
    same_size = list(segmentation.get("size", size)) == list(size)
    if not (whole and same_size and runs.sum() == total):
        return Patch(0, 0, shape_mask(segmentation, size))  # which says what is wrong
    ends = runs.astype(np.int64).cumsum()
    stops = ends[1::2]
    starts = ends[::2][: len(stops)]
    starts, stops = starts[stops > starts], stops[stops > starts]
    if not len(starts):
        return None
    (columns, rows), (last_columns, last_rows) = (divmod(n, size[0]) for n in (starts, stops - 1))
    left, right = int(columns[0]), int(last_columns[-1]) + 1
    top, bottom = int(rows.min()), int(last_rows.max()) + 1
    if (columns != last_columns).any():  # such a run ends below and goes on above
        top, bottom = 0, size[0]
    inside = (columns - left) * (bottom - top) + rows - top
    bounds = np.stack([inside, inside + stops - starts], axis=1).ravel()
    box = bottom - top, right - left
    inner = np.diff(bounds, prepend=0, append=box[0] * box[1])
    return Patch(top, left, runs_mask(inner.tolist(), box))
