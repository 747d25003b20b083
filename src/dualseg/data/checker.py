"""Finds every label fault of a data set before the first step of training."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.data.cache import RamCache
from dualseg.data.dataset import (
    FileDataset,
    SegmentationDataset,
    describe_unknown,
    map_values,
    unknown_values,
)
from dualseg.data.images import read_label_values, read_size

SHOWN = 5
MUCH_IGNORED = 0.5


@dataclass(frozen=True)
class DatasetSummary:
    """What a scan of all labels found.

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


def check_dataset(dataset: SegmentationDataset) -> DatasetSummary:
    """Reads every label and every image's header.

    Raises:
        InputError: The data set is empty, or has faults; each kind is listed with its first five
            files and their number.
    """
    if isinstance(dataset, RamCache):
        dataset = dataset.dataset  # the files themselves, not what was read of them before
    if len(dataset) == 0:
        raise InputError(f"the split {dataset.split!r} holds no image")
    scan = _Scan(np.zeros(256, np.int64))
    for index in range(len(dataset)):
        if isinstance(dataset, FileDataset):
            _check_files(dataset, index, scan)
        else:
            _count(dataset.label_map(index), scan)
    problems = [
        *_first(scan.unreadable, "files cannot be read"),
        *_first(scan.mismatched, "labels have another size than their image"),
        *_first(scan.unknown, "label files hold values that are no class"),
    ]
    if problems:
        raise InputError(f"the split {dataset.split!r} has faults:", problems)
    return _summary(dataset, scan)


def _check_files(dataset: FileDataset, index: int, scan: _Scan) -> None:
    pair = dataset.pairs[index]
    try:
        size = read_size(pair.image)
        values = read_label_values(pair.label)
    except InputError as error:
        scan.unreadable.append(str(error))
        return
    if values.shape != size:
        turned = values.shape == size[::-1]
        hint = " (turned by 90 degrees: an EXIF orientation lost by a tool?)" if turned else ""
        have = f"{pair.image} is {size[0]}x{size[1]}"
        scan.mismatched.append(
            f"{have}, {pair.label} {values.shape[0]}x{values.shape[1]}{hint}; make them equal"
        )
        return
    unknown = unknown_values(values, dataset.labels)
    if unknown:
        scan.unknown.append(f"{pair.label}: {describe_unknown(unknown, dataset.labels)}")
        return
    _count(map_values(values, dataset.labels, pair.label), scan)


def _count(label_map: NDArray[np.uint8], scan: _Scan) -> None:
    scan.counts += np.bincount(label_map.ravel(), minlength=256)
    size = (label_map.shape[0], label_map.shape[1])
    scan.sizes[size] = scan.sizes.get(size, 0) + 1


def _first(faults: Sequence[str], kind: str) -> list[str]:
    more = [f"... {len(faults)} {kind} in all"] if len(faults) > SHOWN else []
    return [*faults[:SHOWN], *more]


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
