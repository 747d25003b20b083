"""Folders of images and masks, as small as can be."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pictures import gray, save

from dualseg.data.datasets.folder import FolderDescription


def add_pair(folder: Path, masks: Path, name: str, values: Sequence[int], suffix: str = "") -> None:
    """An image and a mask of one row."""
    save(folder / f"{name}.jpg", gray(1, len(values)))
    wide = max(values) > 255
    save(masks / f"{name}{suffix}.png", [list(values)], np.uint16 if wide else np.uint8)


def flat_folder(root: Path, *values: Sequence[int], count: int = 5) -> Path:
    """images/ and masks/; the rows of values are dealt out to the masks in turn."""
    for index in range(count):
        add_pair(root / "images", root / "masks", f"f{index}", values[index % len(values)])
    return root


def names_in(description: FolderDescription, split: str) -> list[str]:
    return [pair.name for pair in description.splits[split]]


def note(description: FolderDescription, start: str) -> str:
    return next(note for note in description.notes if note.startswith(start))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}
