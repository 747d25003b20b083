"""Decoded images and label maps kept in memory, so that each file is decoded once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.images import read_size

AUTO_LIMIT_BYTES = 2 << 30


class RamCache:
    """A data set that remembers what it has decoded.

    Every loader worker has a cache of its own. Where workers are forked, they share the memory of
    what was decoded before them, which after `check_dataset` is everything; else each fills its
    own.

    Args:
        dataset: What it reads from, once an image.
    """

    def __init__(self, dataset: SegmentationDataset):
        self.dataset = dataset
        self.labels = dataset.labels
        self.split = dataset.split
        self._images: dict[int, NDArray[np.uint8]] = {}
        self._label_maps: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def name(self, index: int) -> str:
        return self.dataset.name(index)

    def image_path(self, index: int) -> Path | None:
        return self.dataset.image_path(index)

    def label_path(self, index: int) -> Path | None:
        return self.dataset.label_path(index)

    def image(self, index: int) -> NDArray[np.uint8]:
        if index not in self._images:
            self._images[index] = self.dataset.image(index)
        return self._images[index]

    def label_map(self, index: int) -> NDArray[np.uint8]:
        if index not in self._label_maps:
            self._label_maps[index] = self.dataset.label_map(index)
        return self._label_maps[index]

    def keep(self, index: int, image: NDArray[np.uint8], label_map: NDArray[np.uint8]) -> None:
        """Takes over what was decoded elsewhere, in the place of what was kept before.

        Args:
            index: Of the image.
            image: (H, W, 3) RGB.
            label_map: (H, W) class ids.
        """
        self._images[index] = image
        self._label_maps[index] = label_map


def cached(
    datasets: Sequence[SegmentationDataset], mode: Literal["auto", "ram", "none"]
) -> tuple[SegmentationDataset, ...]:
    """Data sets used together, each behind a cache or not.

    Args:
        datasets: The most important one first.
        mode: "ram" caches all and "none" none; "auto" one after the other, as long as all together
            stay below 2 GiB. Sizes are estimated from the header of the first image.
    """
    if mode == "none":
        return tuple(datasets)
    left = AUTO_LIMIT_BYTES
    chosen: list[SegmentationDataset] = []
    for dataset in datasets:
        needed = 0 if mode == "ram" else _num_bytes(dataset)
        fits = needed <= left
        left -= needed if fits else 0
        chosen.append(RamCache(dataset) if fits else dataset)
    return tuple(chosen)


def _num_bytes(dataset: SegmentationDataset) -> int:
    """Three bytes of image and one of label for each pixel."""
    for index in range(len(dataset)):
        try:
            height, width = _size(dataset, index)
        except InputError:  # the check before training lists every damaged file
            continue
        return 4 * height * width * len(dataset)
    return 0


def _size(dataset: SegmentationDataset, index: int) -> Size:
    path = dataset.image_path(index)
    if path is not None:
        return read_size(path)
    height, width = dataset.image(index).shape[:2]
    return height, width
