"""What a data set is to the rest of the package, and the one that reads pairs of files."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError, first_few
from dualseg.core.image_spec import ImageSpec, Pixels
from dualseg.core.labels import LabelSpec
from dualseg.data.pictures.bands import read_pixels
from dualseg.data.pictures.images import read_label_values

SMALL_IDS = 1 << 16
EXACT_IN_FLOAT32 = 1 << 24  # cv2 counts in this type


class SegmentationDataset(Protocol):
    """Images with label maps of the same size, by index."""

    labels: LabelSpec
    split: str

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """A name for messages and files, unique in the data set."""
        ...

    def image(self, index: int) -> Pixels:
        """(H, W, 3) RGB, or the bands that `images_of` says."""
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


Pairs = dict[str, tuple[Pair, ...]]
"""Those of each split, by its name."""
PLAIN = ImageSpec()
RawValues = NDArray[np.int32] | NDArray[np.uint8]


def read_label_file(pair: Pair) -> RawValues:
    """What a label file holds, pixel by pixel."""
    return read_label_values(pair.label)


class FileDataset:
    """Pairs of files whose raw label values are turned into class ids.

    Args:
        pairs: The files.
        labels: Classes, and what each raw value means.
        split: Its name.
        read_values: Pair -> (H, W) raw values, for labels that are no picture of ids: colours,
            polygons, other formats. Workers need it too, so it must be picklable.
        images: Bands and values of the images; ordinary pictures where not given.
    """

    def __init__(
        self,
        pairs: tuple[Pair, ...],
        labels: LabelSpec,
        split: str,
        *,
        read_values: Callable[[Pair], RawValues] = read_label_file,
        images: ImageSpec = PLAIN,
    ):
        self.pairs = pairs
        self.labels = labels
        self.split = split
        self.images = images
        self.read_values = read_values

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, index: int) -> str:
        return self.pairs[index].name

    def image_path(self, index: int) -> Path | None:
        return self.pairs[index].image

    def label_path(self, index: int) -> Path | None:
        return self.pairs[index].label

    def image(self, index: int) -> Pixels:
        return read_pixels(self.pairs[index].image, self.images)

    def raw_values(self, index: int) -> RawValues:
        """(H, W) values as they stand in the label, before `labels` gives them a meaning."""
        pair = self.pairs[index]
        if self.read_values is read_label_file:
            return read_label_values(pair.label, max_pixels=self.images.max_pixels)
        return self.read_values(pair)

    def reading(self, images: ImageSpec) -> "FileDataset":
        """The same files, with their images read in another way."""
        reader: Any = self.read_values
        if hasattr(reader, "images"):  # it draws labels of the image's size, which it reads
            reader = replace(reader, images=images)
        return FileDataset(self.pairs, self.labels, self.split, read_values=reader, images=images)

    def label_map(self, index: int) -> NDArray[np.uint8]:
        return map_values(self.raw_values(index), self.labels, self.pairs[index].label)


def images_of(dataset: SegmentationDataset) -> ImageSpec:
    """Bands and values of a data set's images; those that say nothing hold ordinary pictures."""
    return getattr(dataset, "images", PLAIN)


def with_images(dataset: SegmentationDataset, images: ImageSpec) -> SegmentationDataset:
    """The data set with its images read in another way.

    Raises:
        InputError: It does not read image files, so that there is nothing to declare.
    """
    if images == images_of(dataset):
        return dataset
    reading = getattr(dataset, "reading", None)
    if reading is None:
        raise InputError(
            f"the split {dataset.split!r} is drawn on the fly, in RGB; leave channels, min_value, "
            "max_value and max_pixels out"
        )
    return reading(images)


def map_values(values: RawValues, labels: LabelSpec, path: Path) -> NDArray[np.uint8]:
    """Raw label values -> class ids; nothing is clipped.

    Args:
        values: (H, W), of any integer type.
        labels: Gives the meaning of each value.
        path: For the message.

    Raises:
        InputError: A value has no meaning; it is named with its number of pixels.
    """
    unknown = unknown_values(values, labels)
    if unknown:
        raise InputError(f"{path}: {describe_unknown(unknown, labels)}")
    table = np.zeros(max(255, *labels.values) + 1, np.uint8)
    for raw, class_id in labels.values.items():
        if raw >= 0:
            table[raw] = class_id
    if values.dtype == np.uint8:  # ten times faster than indexing
        return np.asarray(cv2.LUT(np.ascontiguousarray(values), table[:256]), np.uint8)
    return table[values]


def unknown_values(values: RawValues, labels: LabelSpec) -> dict[int, int]:
    """Raw values without a meaning -> number of pixels."""
    return {v: n for v, n in count_values(values).items() if v not in labels.values}


def count_values(values: RawValues) -> dict[int, int]:
    """Values that occur, ascending, and how often, each in one pass where they are small."""
    if values.dtype == np.uint8 and values.size <= EXACT_IN_FLOAT32:
        # A tenth of the time of numpy's counts.
        flat = np.ascontiguousarray(values).reshape(1, -1)
        counts = cv2.calcHist([flat], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    elif values.dtype == np.uint8 or (values.min() >= 0 and values.max() < SMALL_IDS):
        counts = np.bincount(values.ravel())
    else:
        found, counts = np.unique(values, return_counts=True)
        return dict(zip(found.tolist(), counts.tolist(), strict=True))
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


def describe_unknown(unknown: dict[int, int], labels: LabelSpec) -> str:
    """What is wrong and what to do about it, in one line."""
    shown = ", ".join(first_few([f"{value} ({n} pixels)" for value, n in unknown.items()]))
    known = ", ".join(map(str, sorted(labels.values)[:12]))
    return (
        f"label values {shown} are no class; known values are {known}. Correct the file, or "
        "say in dataset.yaml, under values, which class each one is (255: ignored)"
    )
