"""Finds every damaged file and every label fault of a data set before the first training step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError, first_few
from dualseg.core.geometry import Size
from dualseg.data.cache import CachedDataset
from dualseg.data.dataset import (
    FileDataset,
    SegmentationDataset,
    count_values,
    describe_unknown,
    map_values,
    unknown_values,
)
from dualseg.data.images import read_image

MUCH_IGNORED = 0.5

Where = TypeVar("Where")
Pixels = TypeVar("Pixels")


@dataclass(frozen=True)
class DatasetSummary:
    """What a scan of all images and labels found.

    Args:
        num_images: Images with labels.
        pixels_per_class: One count a class.
        ignored_share: Ignored pixels among all, 0 to 1.
        sizes: Sizes that occur, with their number of images.
        warnings: What is allowed but worth knowing.
    """

    num_images: int
    pixels_per_class: tuple[int, ...]
    ignored_share: float
    sizes: dict[Size, int]
    warnings: tuple[str, ...] = ()


@dataclass
class _Scan:
    counts: NDArray[np.int64]
    sizes: dict[Size, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class _Sample(NamedTuple):
    image: NDArray[np.uint8]
    label_map: NDArray[np.uint8]


def check_dataset(
    dataset: SegmentationDataset, *, progress: Callable[[int, int], object] | None = None
) -> DatasetSummary:
    """Decodes every image and every label; behind a cache they are kept, not decoded again.

    Args:
        dataset: Files are read anew, also where a cache has read them before.
        progress: Called with (done, total) before the first image and after each.

    Raises:
        InputError: The data set is empty, or has faults; each kind is listed with its first five
            files and their number.
    """
    cache = dataset if isinstance(dataset, CachedDataset) else None
    source = dataset.dataset if isinstance(dataset, CachedDataset) else dataset
    if len(source) == 0:
        raise InputError(f"the split {source.split!r} holds no image")
    scan = _Scan(np.zeros(256, np.int64))
    if progress is not None:
        progress(0, len(source))
    for index in range(len(source)):
        found = _check_image(source, index, scan)
        if found is not None:
            _count(found.label_map, scan)
            if cache is not None:
                cache.keep(index, found.image, found.label_map)
        if progress is not None:
            progress(index + 1, len(source))
    problems = [
        *first_few(scan.unreadable, what="that cannot be read"),
        *first_few(scan.mismatched, what="whose label has another size than the image"),
        *first_few(scan.unknown, what="with values that are no class"),
    ]
    if problems:
        raise InputError(f"the split {source.split!r} has faults:", problems)
    return _summary(source, scan)


def _check_image(dataset: SegmentationDataset, index: int, scan: _Scan) -> _Sample | None:
    """Image and label map where both are without fault; else the faults go into the scan."""
    if isinstance(dataset, FileDataset):
        return _check_files(dataset, index, scan)
    image = _read(dataset.image, index, scan)
    label_map = _read(dataset.label_map, index, scan)
    return None if image is None or label_map is None else _Sample(image, label_map)


def _check_files(dataset: FileDataset, index: int, scan: _Scan) -> _Sample | None:
    pair = dataset.pairs[index]
    image = _read(read_image, pair.image, scan)
    values = _read(dataset.raw_values, index, scan)
    if image is None or values is None:
        return None
    size = image.shape[:2]
    if values.shape != size:
        turned = values.shape == size[::-1]
        hint = " (turned by 90 degrees: an EXIF orientation lost by a tool?)" if turned else ""
        have = f"{pair.image} is {size[0]}x{size[1]}"
        scan.mismatched.append(
            f"{have}, {pair.label} {values.shape[0]}x{values.shape[1]}{hint}; make them equal"
        )
        return None
    unknown = unknown_values(values, dataset.labels)
    if unknown:
        scan.unknown.append(f"{pair.label}: {describe_unknown(unknown, dataset.labels)}")
        return None
    return _Sample(image, map_values(values, dataset.labels, pair.label))


def _read(read: Callable[[Where], Pixels], where: Where, scan: _Scan) -> Pixels | None:
    try:
        return read(where)
    except InputError as error:
        scan.unreadable.append(str(error))
        return None


def _count(label_map: NDArray[np.uint8], scan: _Scan) -> None:
    for class_id, count in count_values(label_map).items():
        scan.counts[class_id] += count
    size = (label_map.shape[0], label_map.shape[1])
    scan.sizes[size] = scan.sizes.get(size, 0) + 1


def _summary(dataset: SegmentationDataset, scan: _Scan) -> DatasetSummary:
    labels = dataset.labels
    total = int(scan.counts.sum())
    ignored = int(scan.counts[labels.ignore_index])
    per_class = tuple(int(count) for count in scan.counts[: labels.num_classes])
    warnings = []
    absent = [n for n, count in zip(labels.class_names, per_class, strict=True) if count == 0]
    if absent:
        warnings.append(f"no pixel of: {', '.join(absent)}")
    if ignored > MUCH_IGNORED * total:
        warnings.append(f"{100 * ignored / total:.0f} % of all pixels are ignored")
    return DatasetSummary(
        len(dataset), per_class, ignored / max(total, 1), scan.sizes, tuple(warnings)
    )
