"""Decoded images and label maps kept in memory or on disk, so that each file is decoded once."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.data.cache_stores import DiskStore, RamStore, Store
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.images import read_size

AUTO_LIMIT_BYTES = 2 << 30


class CachedDataset:
    """A data set that remembers what it has decoded.

    With a store in memory every loader worker has its own. Where workers are forked, they share
    what was decoded before them, which after `check_dataset` is everything; else each fills its
    own.

    Args:
        dataset: What it reads from, once an image.
        store: Where it remembers.
    """

    def __init__(self, dataset: SegmentationDataset, store: Store):
        self.dataset = dataset
        self.store = store
        self.labels = dataset.labels
        self.split = dataset.split

    def __len__(self) -> int:
        return len(self.dataset)

    def name(self, index: int) -> str:
        return self.dataset.name(index)

    def image_path(self, index: int) -> Path | None:
        return self.dataset.image_path(index)

    def label_path(self, index: int) -> Path | None:
        return self.dataset.label_path(index)

    def image(self, index: int) -> NDArray[np.uint8]:
        found = self.store.get(index, "image")
        if found is None:
            found = self.dataset.image(index)
            self.store.put(index, "image", found)
        return found

    def label_map(self, index: int) -> NDArray[np.uint8]:
        found = self.store.get(index, "label")
        if found is None:
            found = self.dataset.label_map(index)
            self.store.put(index, "label", found)
        return found

    def keep(self, index: int, image: NDArray[np.uint8], label_map: NDArray[np.uint8]) -> None:
        """Takes over what was decoded elsewhere, in the place of what was kept before.

        Args:
            index: Of the image.
            image: (H, W, 3) RGB.
            label_map: (H, W) class ids.
        """
        self.store.put(index, "image", image)
        self.store.put(index, "label", label_map)


def cached(
    datasets: Sequence[SegmentationDataset],
    mode: Literal["auto", "ram", "disk", "none"],
    folder: Path | None = None,
) -> tuple[SegmentationDataset, ...]:
    """Data sets used together, each behind a cache or not.

    Args:
        datasets: The most important one first.
        mode: "ram" and "disk" cache all there and "none" none; "auto" caches one after the other in
            memory, as long as all together stay below 2 GiB. Sizes are estimated from the header of
            the first image.
        folder: For "disk"; the user's cache folder where not given.

    Raises:
        InputError: "disk" for data that is drawn on the fly.
    """
    if mode == "disk":
        place = folder or default_cache_folder()
        return tuple(CachedDataset(dataset, DiskStore(dataset, place)) for dataset in datasets)
    if mode == "none":
        return tuple(datasets)
    left = AUTO_LIMIT_BYTES
    chosen: list[SegmentationDataset] = []
    for dataset in datasets:
        needed = 0 if mode == "ram" else _num_bytes(dataset)
        fits = needed <= left
        left -= needed if fits else 0
        chosen.append(CachedDataset(dataset, RamStore()) if fits else dataset)
    return tuple(chosen)


def default_cache_folder() -> Path:
    """`dualseg` in the folder that the system keeps for caches."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dualseg" / "decoded"


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
