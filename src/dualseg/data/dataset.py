"""What a data set is to the rest of the package, and the one that reads pairs of files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError, first_few
from dualseg.core.labels import LabelSpec
from dualseg.data.images import read_image, read_label_values

SMALL_IDS = 1 << 16


class SegmentationDataset(Protocol):
    """Images with label maps of the same size, by index."""

    labels: LabelSpec
    split: str

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """A name for messages and files, unique in the data set."""
        ...

    def image(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        ...

    def label_map(self, index: int) -> NDArray[np.uint8]:
        """(H, W) class ids, 255 ignored."""
        ...

    def image_path(self, index: int) -> Path | None:
        """Where the image lies; None for generated ones."""
        ...

    def label_path(self, index: int) -> Path | None:
        """Where the label lies; None for generated ones."""
        ...


@dataclass(frozen=True)
class Pair:
    """An image file and its label file."""

    name: str
    image: Path
    label: Path


class FileDataset:
    """Pairs of files whose raw label values are turned into class ids.

    Args:
        pairs: The files.
        labels: Classes, and what each raw value means.
        split: Its name.
    """

    def __init__(self, pairs: tuple[Pair, ...], labels: LabelSpec, split: str):
        self.pairs = pairs
        self.labels = labels
        self.split = split

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, index: int) -> str:
        return self.pairs[index].name

    def image_path(self, index: int) -> Path | None:
        return self.pairs[index].image

    def label_path(self, index: int) -> Path | None:
        return self.pairs[index].label

    def image(self, index: int) -> NDArray[np.uint8]:
        return read_image(self.pairs[index].image)

    def label_map(self, index: int) -> NDArray[np.uint8]:
        path = self.pairs[index].label
        return map_values(read_label_values(path), self.labels, path)


def map_values(values: NDArray[np.int32], labels: LabelSpec, path: Path) -> NDArray[np.uint8]:
    """Raw label values -> class ids; nothing is clipped.

    Args:
        values: (H, W).
        labels: Gives the meaning of each value.
        path: For the message.

    Raises:
        InputError: A value has no meaning; it is named with its number of pixels.
    """
    unknown = unknown_values(values, labels)
    if unknown:
        raise InputError(f"{path}: {describe_unknown(unknown, labels)}")
    table = np.zeros(max(labels.values) + 1, np.uint8)
    for raw, class_id in labels.values.items():
        if raw >= 0:
            table[raw] = class_id
    return table[values]


def unknown_values(values: NDArray[np.int32], labels: LabelSpec) -> dict[int, int]:
    """Raw values without a meaning -> number of pixels."""
    found, counts = _count(values)
    return {
        int(v): int(n) for v, n in zip(found, counts, strict=True) if int(v) not in labels.values
    }


def _count(values: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Values that occur, ascending, and how often; the usual small ids are counted in one pass."""
    if values.min() < 0 or values.max() >= SMALL_IDS:
        return np.unique(values, return_counts=True)  # type: ignore[return-value]
    counts = np.bincount(values.ravel())
    found = np.flatnonzero(counts)
    return found, counts[found]


def describe_unknown(unknown: dict[int, int], labels: LabelSpec) -> str:
    """What is wrong and what to do about it, in one line."""
    shown = ", ".join(first_few([f"{value} ({n} pixels)" for value, n in unknown.items()]))
    known = ", ".join(map(str, sorted(labels.values)[:12]))
    return (
        f"label values {shown} are no class; known values are {known}. Correct the file, or "
        "say in dataset.yaml, under values, which class each one is (255: ignored)"
    )
