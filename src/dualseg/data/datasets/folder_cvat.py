"""CVAT's XML in a folder of one's own, as "CVAT for images 1.1" is exported.

Higher `z_order` lies on top, and of one the later shape. Points outside of the image are cut off at
its border. Images without shapes are background.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError, first_few
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import Pair
from dualseg.data.datasets.cvat_xml import CvatFile, CvatImage, read_cvat
from dualseg.data.datasets.dataset_yaml import Declaration
from dualseg.data.datasets.folder_drawn import (
    ClassIds,
    Drawn,
    Names,
    classes_of_names,
    draw,
    images_named,
    splits_of,
)
from dualseg.data.datasets.folder_pairs import split_of
from dualseg.data.datasets.folder_places import annotation_files, head

NO_SUBSET = ("", "default")


class CvatReader:
    """Draws the shapes of an image as class ids.

    Args:
        images: By label file and image of the pair: two splits may use a name twice.
        ids: The class id of each label.
    """

    def __init__(self, images: Mapping[tuple[Path, Path], CvatImage], ids: ClassIds):
        self._images = images
        self._ids = ids

    def __call__(self, pair: Pair) -> NDArray[np.uint8]:
        """(H, W) class ids, of the size that the XML states."""
        image = self._images[pair.label, pair.image]
        try:
            return draw(
                image.size, ((self._ids[s.label], s.patch(image.size)) for s in image.shapes)
            )
        except ValueError as error:
            raise InputError(f"{pair.label}: a shape of {image.name} is faulty ({error})") from None


def describe_cvat(
    root: Path, declaration: Declaration, known: LabelSpec | None = None
) -> Drawn | None:
    """A folder with CVAT's XML; None where there is none.

    Args:
        root: Holds `annotations.xml`, and the images, in images/ or beside it; or such a folder for
            each split. An image's `subset` says its split; one of another name is its own split.
        declaration: What the user's `dataset.yaml` says.
        known: A network's classes; see `classes_of_names`.

    Raises:
        InputError: A file has faults, an image is missing, or two of them are one picture.
    """
    files = [path for path in annotation_files(root, ".xml") if b"<annotations" in head(path)]
    if not files:
        return None
    names, pairs, notes = Names(), {}, []
    images: dict[tuple[Path, Path], CvatImage] = {}
    for file in files:
        found = read_cvat(file, max_pixels=declaration.images.max_pixels)
        _require_once(file, found)
        names.order = list(dict.fromkeys([*names.order, *found.labels]))
        names.colors = {**names.colors, **{n: c for n, c in found.labels.items() if c is not None}}
        names.count(shape.label for image in found.images for shape in image.shapes)
        there = _pairs(root, file, found.images, declaration, notes)
        _require_own_pictures(file, [pair.image for _, pair, _ in there])
        for split, pair, image in there:
            pairs.setdefault(split, []).append(pair)
            images[file, pair.image] = image
        empty = sum(not image.shapes for image in found.images)
        notes += [f"{file.name}: {empty} images without shapes"] if empty else []
    if names.order:  # labels that the file does not declare come last
        names.order = list(dict.fromkeys([*names.order, *sorted(names.shapes)]))
    labels, ids, class_notes = classes_of_names("CVAT shapes", names, declaration, known)
    splits, told = splits_of(pairs, root, allow_missing=declaration.allow_missing)
    return Drawn(splits, labels, (*told, *class_notes, *notes), CvatReader(images, ids))


def _require_once(file: Path, found: CvatFile) -> None:
    names = [(image.subset, image.name) for image in found.images]
    if len(set(names)) < len(names):
        doubled = sorted(name for name, count in Counter(names).items() if count > 1)
        raise InputError(
            f"{file}: {len(doubled)} images stand there twice; export each once:",
            first_few([name for _, name in doubled]),
        )


def _require_own_pictures(file: Path, found: Sequence[Path]) -> None:
    shared = [str(path) for path, count in Counter(found).items() if count > 1]
    if shared:
        raise InputError(
            f"{file}: {len(shared)} pictures are found for several of its images each; put those "
            "of each subset into a folder of its name:",
            first_few(shared),
        )


def _pairs(
    root: Path,
    file: Path,
    images: Sequence[CvatImage],
    declaration: Declaration,
    notes: list[str],
) -> list[tuple[str, Pair, CvatImage]]:
    """Split, files and shapes of each image."""
    folder = "" if file.parent == root else split_of(file.parent.name) or ""
    result = []
    splits = [_split(image.subset) or folder for image in images]
    for split in dict.fromkeys(splits):
        some = [image for image, own in zip(images, splits, strict=True) if own == split]
        names = [image.name for image in some]
        paths = images_named(root, file, names, split, declaration, notes)
        result += [
            (split, Pair(Path(image.name).with_suffix("").as_posix(), path, file), image)
            for image, path in zip(some, paths, strict=True)
            if path is not None
        ]
    return result


def _split(subset: str) -> str:
    """ "" where the subset says none; one of an unknown name is a split of its own."""
    return "" if subset.lower() in NO_SUBSET else split_of(subset) or subset
