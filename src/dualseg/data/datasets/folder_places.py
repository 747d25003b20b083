"""Where a folder with drawn labels keeps its images and its label files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from dualseg.core.errors import InputError
from dualseg.data.datasets.folder_listing import holds_pictures, pictures, sub_folders, unread
from dualseg.data.datasets.folder_lists import inside, read_listed_pairs
from dualseg.data.datasets.folder_pairs import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    SPLIT_FOLDERS,
    split_of,
)

ANNOTATION_FOLDERS = ("annotations", "annotation")


class Place(NamedTuple):
    """Images of a split, and the folder of their label files; split "" is none."""

    split: str
    images: Path
    labels: Path


def holds_masks(root: Path) -> bool:
    """Whether there are masks for `find_pairs`: then drawn labels are not looked for."""
    outer = [folder for folder in sub_folders(root) if split_of(folder.name)]
    named = [
        folder
        for parent in (root, *outer)
        for folder in sub_folders(parent)
        if folder.name.lower() in {name.lower() for name in MASK_FOLDERS}
    ]
    return any(holds_pictures(folder) for folder in named) or read_listed_pairs(root) is not None


def find_places(root: Path, label_folders: Sequence[str], *, beside: bool = False) -> list[Place]:
    """Pairs of folders: images/ and labels/, each perhaps with split folders, or the reverse.

    Where there are both, images/ and labels/ of no split are train. Where some splits have both
    images and labels, those of images alone are there too: see `labelled_places`.

    Args:
        root: The user's folder.
        label_folders: Names of the folder of label files.
        beside: Whether label files may lie beside the images, in root or in split folders.
    """
    own = _inner(root, "", label_folders)
    outer = [(split_of(folder.name), folder) for folder in sub_folders(root)]
    splits = [(split, folder) for split, folder in outer if split is not None]
    inner = [_inner(at, split, label_folders) for split, at in splits]
    if own or any(inner):
        if any(inner):  # they are splits beside it
            own = [place._replace(split=place.split or "train") for place in own]
        alone = [
            _without_labels(split, at, at / label_folders[0], bool(own))
            for (split, at), found in zip(splits, inner, strict=True)
            if not found
        ]
        return [*own, *(place for found in inner for place in found), *alone]
    if not beside:
        return []
    return [Place("", root, root), *(Place(split, at, at) for split, at in splits)]


def _without_labels(split: str, at: Path, labels: Path, is_beside: bool) -> Place:
    """A split folder without a folder of labels; loose images beside others' are of no split."""
    images = next(iter(_named(at, IMAGE_FOLDERS)), None)
    return Place("" if is_beside and images is None else split, images or at, labels)


def labelled_places(
    root: Path, places: Sequence[Place], holds: Callable[[Place], bool]
) -> tuple[list[Place], list[str]]:
    """Every place with images if one of them holds labels, and notes on what is not read.

    Args:
        root: The user's folder.
        places: As `find_places` gives them.
        holds: Whether labels lie there.

    Raises:
        InputError: Images have no folder of labels or labels none of images, other than those for
            testing, or two folders are of the same split.
    """
    full = [place for place in places if holds(place)]
    if not full:
        return [], []
    bare = [place for place in places if place not in full and pictures(place.images)]
    aside = [place for place in bare if place.split in ("", "test")]
    kept = [place for place in places if place in (*full, *bare) and place not in aside]
    by_split: dict[str, Place] = {}
    for place in kept:
        if not place.labels.is_dir():
            raise InputError(f"{place.images} holds images, but there is no folder {place.labels}")
        other = by_split.setdefault(place.split, place)
        if other is not place:
            both = f"{other.images} and {place.images}"
            raise InputError(f"{both} are the same split, {place.split}; keep one of them there")
    notes = [f"not read: images in {place.images}, which have no labels" for place in aside]
    images = [place.images for place in places]
    labels = [place.labels for place in places if place.labels not in images]
    for folder in (at for above in _above(root, labels) for at in sub_folders(above)):
        alone = folder not in labels and split_of(folder.name) in ("train", "val")
        if alone and any(folder.iterdir()):
            raise InputError(f"{folder} holds labels, but there is no folder of their images")
    read = [folder for place in kept for folder in (place.images, place.labels)]
    notes += _unread_around(root, images, [folder for folder in read if folder in images])
    return kept, notes + _unread_around(root, labels, [at for at in read if at in labels])


def _unread_around(root: Path, folders: Sequence[Path], read: Sequence[Path]) -> list[str]:
    """Notes on what lies beside the folders of splits, and on what lies in those that are read."""
    notes = [line for above in _above(root, folders) for line in unread(above, folders)]
    return notes + [line for at in read if at != root for line in unread(at)]


def _above(root: Path, folders: Sequence[Path]) -> list[Path]:
    """Folders that hold those of splits, but for the user's own."""
    found = dict.fromkeys(at.parent for at in folders if split_of(at.name) is not None)
    return [folder for folder in found if folder != root]


def find_images(root: Path, base: Path, names: Sequence[str], split: str) -> list[Path | None]:
    """The files that annotations name, in the folders where they usually lie.

    Args:
        root: The user's folder.
        base: That of the annotation file.
        names: Paths as they stand there.
        split: Of the annotation file, or "".

    Returns:
        A file for each name, or None where there is none.

    Raises:
        InputError: A name leads out of the folder.
    """
    folders = [base, *_named(base, IMAGE_FOLDERS), root, *_named(root, IMAGE_FOLDERS)]
    words = SPLIT_FOLDERS.get(split, (split.lower(),))
    folders += [
        sub
        for parent in tuple(folders)
        for sub in sub_folders(parent)
        if split and {sub.name.lower(), sub.name.lower().rstrip("0123456789")} & set(words)
    ]
    folders += [sub for folder in tuple(folders) for sub in _named(folder, IMAGE_FOLDERS)]
    order = list(dict.fromkeys(folders))
    found: list[Path | None] = []
    for name in names:
        hit = next((folder for folder in order if inside(folder, name).is_file()), None)
        found.append(None if hit is None else inside(hit, name))
        if hit is not None and order[0] != hit:
            order.remove(hit)
            order.insert(0, hit)  # the others most likely lie there too
    return found


def annotation_files(root: Path, suffix: str) -> list[Path]:
    """Files that may hold the labels of many images: in root, annotations/ and split folders."""
    folders = [
        root,
        *_named(root, ANNOTATION_FOLDERS),
        *(folder for folder in sub_folders(root) if split_of(folder.name)),
    ]
    return [
        path
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.suffix.lower() == suffix and not path.name.startswith(".") and path.is_file()
    ]


def head(path: Path, size: int = 1 << 16) -> bytes:
    """The start of a file.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def _inner(parent: Path, split: str, label_folders: Sequence[str]) -> list[Place]:
    images, labels = _named(parent, IMAGE_FOLDERS), _named(parent, label_folders)
    if not images or not labels:
        return []
    deeper = {split_of(folder.name): folder for folder in sub_folders(labels[0])}
    inner = [(split_of(folder.name), folder) for folder in sub_folders(images[0])]
    named = [(name, folder) for name, folder in inner if name is not None]
    if named and not split and not any(deeper):
        return []  # one file for each split, perhaps
    if split or not named:
        return [Place(split, images[0], labels[0])]
    alone = [str(at) for name, at in named if name not in deeper and name != "test"]
    if alone:
        raise InputError(f"{', '.join(alone)}: no folder of that name in {labels[0]}")
    return [Place(n, folder, deeper.get(n, labels[0] / folder.name)) for n, folder in named]


def _named(parent: Path, names: Sequence[str]) -> list[Path]:
    known = {name.lower() for name in names}
    return [folder for folder in sub_folders(parent) if folder.name.lower() in known]
