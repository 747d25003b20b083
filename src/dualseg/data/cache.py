"""Decoded images and label maps kept in memory, so that each file is decoded once."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dualseg.data.dataset import SegmentationDataset

AUTO_LIMIT_BYTES = 2 << 30


class RamCache:
    """A data set that remembers what it has decoded.

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


def cached(
    dataset: SegmentationDataset, mode: Literal["auto", "ram", "none"]
) -> SegmentationDataset:
    """The data set behind a cache: always ("ram"), never ("none"), or below 2 GiB ("auto").

    The size is estimated from the first image.
    """
    if mode == "none" or len(dataset) == 0:
        return dataset
    height, width = dataset.image(0).shape[:2]
    fits = 4 * height * width * len(dataset) <= AUTO_LIMIT_BYTES
    return RamCache(dataset) if mode == "ram" or fits else dataset
