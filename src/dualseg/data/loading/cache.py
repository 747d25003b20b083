"""Decoded images and label maps kept in memory or on disk, so that each file is decoded once."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.core.image_spec import Pixels
from dualseg.data.dataset import SegmentationDataset, images_of
from dualseg.data.loading.cache_stores import DiskStore, RamStore, Store
from dualseg.data.pictures.images import read_size

AUTO_LIMIT_BYTES = 2 << 30
LARGE_PIXELS = 1 << 26  # decoding takes a second or more: too long for every crop


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
        self.images = images_of(dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def name(self, index: int) -> str:
        return self.dataset.name(index)

    def image_path(self, index: int) -> Path | None:
        return self.dataset.image_path(index)

    def label_path(self, index: int) -> Path | None:
        return self.dataset.label_path(index)

    def image(self, index: int) -> Pixels:
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
        return np.asanyarray(found, np.uint8)

    def keep(self, index: int, image: Pixels, label_map: NDArray[np.uint8]) -> None:
        """Takes over what was decoded elsewhere, in the place of what was kept before.

        Args:
            index: Of the image.
            image: (H, W, C).
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
            memory, as long as all together stay below 2 GiB. What does not fit there and has images
            beyond 67 million pixels is cached on disk, where half of the free space is enough for
            it. Sizes are estimated from the header of the first image.
        folder: For "disk"; the user's cache folder where not given.

    Raises:
        InputError: "disk" for data that is drawn on the fly.
    """
    place = folder or default_cache_folder()
    if mode == "disk":
        return tuple(CachedDataset(dataset, DiskStore(dataset, place)) for dataset in datasets)
    if mode == "none":
        return tuple(datasets)
    left = AUTO_LIMIT_BYTES
    chosen: list[SegmentationDataset] = []
    for dataset in datasets:
        estimate = _Estimate(0, 0) if mode == "ram" else _estimate(dataset)
        if estimate.num_bytes <= left:
            left -= estimate.num_bytes
            chosen.append(CachedDataset(dataset, RamStore()))
        elif _belongs_on_disk(dataset, estimate, place):
            chosen.append(CachedDataset(dataset, DiskStore(dataset, place)))
        else:
            chosen.append(dataset)
    return tuple(chosen)


def default_cache_folder() -> Path:
    """`dualseg` in the folder that the system keeps for caches."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dualseg" / "decoded"


class _Estimate(NamedTuple):
    """Of a whole data set, and of its first image."""

    num_bytes: int
    num_pixels: int


def _estimate(dataset: SegmentationDataset) -> _Estimate:
    """A byte a band and one of label for each pixel; four bytes a band beyond eight bits."""
    images = images_of(dataset)
    pixel = images.num_channels * (1 if images.max_value is None else 4) + 1
    for index in range(len(dataset)):
        try:
            height, width = _size(dataset, index)
        except InputError:  # the check before training lists every damaged file
            continue
        return _Estimate(pixel * height * width * len(dataset), height * width)
    return _Estimate(0, 0)


def _belongs_on_disk(dataset: SegmentationDataset, estimate: _Estimate, folder: Path) -> bool:
    if estimate.num_pixels < LARGE_PIXELS or dataset.image_path(0) is None:
        return False
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return estimate.num_bytes <= shutil.disk_usage(there).free // 2


def _size(dataset: SegmentationDataset, index: int) -> Size:
    path = dataset.image_path(index)
    if path is not None:
        return read_size(path, images_of(dataset))
    height, width = dataset.image(index).shape[:2]
    return height, width
