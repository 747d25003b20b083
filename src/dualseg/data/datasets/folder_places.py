"""Where a folder with drawn labels keeps its images and its label files."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dualseg.core.errors import InputError
from dualseg.data.datasets.folder_listing import holds_pictures, sub_folders
from dualseg.data.datasets.folder_lists import inside, read_listed_pairs
from dualseg.data.datasets.folder_pairs import IMAGE_FOLDERS, MASK_FOLDERS, SPLIT_FOLDERS

ANNOTATION_FOLDERS = ("annotations", "annotation")


class Place(NamedTuple):
    """Images of a split, and the folder of their label files; split "" is none."""

    split: str
    images: Path
    labels: Path


def split_of(name: str) -> str | None:
    """The split that a folder's or subset's name says."""
    return next((split for split, names in SPLIT_FOLDERS.items() if name.lower() in names), None)


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

    Args:
        root: The user's folder.
        label_folders: Names of the folder of label files.
        beside: Whether label files may lie beside the images, in root or in split folders.
    """
    found = _inner(root, "", label_folders)
    if found:
        return found
    outer = [(split_of(folder.name), folder) for folder in sub_folders(root)]
    splits = [(split, folder) for split, folder in outer if split is not None]
    found = [place for split, at in splits for place in _inner(at, split, label_folders)]
    if found or not beside:
        return found
    return [Place("", root, root), *(Place(split, at, at) for split, at in splits)]


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
    words = SPLIT_FOLDERS.get(split, ())
    folders += [
        sub
        for parent in tuple(folders)
        for sub in sub_folders(parent)
        if split and sub.name.lower().rstrip("0123456789") in words
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
    return [Place(name, folder, deeper[name]) for name, folder in named if name in deeper]


def _named(parent: Path, names: Sequence[str]) -> list[Path]:
    known = {name.lower() for name in names}
    return [folder for folder in sub_folders(parent) if folder.name.lower() in known]
