"""Finds every damaged file and every label fault of a data set before the first training step."""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.data.checking.check_records import FileRecords, default_records_folder
from dualseg.data.checking.check_warnings import MUCH_IGNORED, split_warnings
from dualseg.data.checking.pair_check import Checked, fault_of, is_turned_alone, look_at
from dualseg.data.dataset import (
    FileDataset,
    SegmentationDataset,
    count_values,
)
from dualseg.data.faults import DatasetError, Fault
from dualseg.data.labels.label_counts import classes_of, label_kind, look_up, note
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.loading.cache_stores import DiskStore
from dualseg.data.pictures.images import inspect_image, read_orientation
from dualseg.data.scanning import in_order
from dualseg.data.shards.checking import check_members
from dualseg.data.shards.reader import ShardDataset

FILLING_SECONDS = 2.0
IMAGE = "image"  # the kind of these rows among the records


@dataclass(frozen=True)
class DatasetSummary:
    """What a scan of all images and labels found.

    Args:
        num_images: Images with labels.
        pixels_per_class: One count a class.
        ignored_share: Ignored pixels among all, 0 to 1.
        sizes: Sizes that occur, with their number of images.
        kinds: Pillow's modes of the images, with their number; none for generated ones.
        num_all_ignored: Images without a labelled pixel.
        warnings: What is allowed but worth knowing.
    """

    num_images: int
    pixels_per_class: tuple[int, ...]
    ignored_share: float
    sizes: dict[Size, int]
    kinds: dict[str, int]
    num_all_ignored: int
    warnings: tuple[Fault, ...] = ()


@dataclass
class _Scan:
    counts: NDArray[np.int64]
    sizes: dict[Size, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    all_ignored: list[str] = field(default_factory=list)
    turned_alone: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def check_dataset(
    dataset: SegmentationDataset,
    *,
    progress: Callable[[int, int], object] | None = None,
    records: Path | None = None,
    use_records: bool = True,
    much_ignored: float = MUCH_IGNORED,
) -> DatasetSummary:
    """Decodes every image and every label; behind a cache they are kept, not decoded again.

    Files that had no fault and have not changed since (path, length, time of change) are not
    decoded again. A cache in memory that waits for their pixels is filled for a few seconds; the
    rest of the files is decoded when it is used.

    Args:
        dataset: Files are read anew, also where a cache has read them before.
        progress: Called with (done, total) before the first image and after each.
        records: Folder where results are kept; the user's cache folder where not given.
        use_records: Whether results are kept and used at all.
        much_ignored: Share of ignored pixels, 0 to 1, from which on it is a warning.

    Raises:
        DatasetError: The data set is empty, or has faults; each kind is listed with its first five
            files and their number.
    """
    cache = dataset if isinstance(dataset, CachedDataset) else None
    source = dataset.dataset if isinstance(dataset, CachedDataset) else dataset
    if len(source) == 0:
        fault = Fault("E100", source.split, "is a split without images", "at least one", "add some")
        raise DatasetError(f"the split {source.split!r} holds no image:", [fault])
    scan = _Scan(np.zeros(256, np.int64))
    if isinstance(source, FileDataset):
        folder = (records or default_records_folder()) if use_records else None
        results = _check_files(source, cache, FileRecords(folder))
    elif isinstance(source, ShardDataset):
        folder = (records or default_records_folder()) if use_records else None
        results = check_members(source, cache, FileRecords(folder), filling_seconds=FILLING_SECONDS)
    else:
        results = _check_drawn(source, cache)
    if progress is not None:
        progress(0, len(source))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # they name no file
        for index, result in enumerate(results):
            _count(source, index, result, scan)
            if progress is not None:
                progress(index + 1, len(source))
    if scan.faults:
        raise DatasetError(f"the split {source.split!r} has faults:", scan.faults)
    return _summary(source, scan, much_ignored)


def _check_drawn(
    dataset: SegmentationDataset, cache: CachedDataset | None
) -> Iterator[Checked | list[Fault]]:
    for index in range(len(dataset)):
        try:
            image, label_map = dataset.image(index), dataset.label_map(index)
        except InputError as error:
            yield [fault_of(error, dataset.name(index), "E110")]
            continue
        if cache is not None:
            cache.keep(index, image, label_map)
        yield Checked((label_map.shape[0], label_map.shape[1]), "", count_values(label_map))


def _check_files(
    dataset: FileDataset, cache: CachedDataset | None, records: FileRecords
) -> Iterator[Checked | list[Fault]]:
    """Results in the order of the data set."""
    start, kind = time.monotonic(), label_kind(dataset)
    in_memory = cache is not None and not isinstance(cache.store, DiskStore)

    def check(index: int) -> Checked | list[Fault]:
        known = _known_pair(dataset, index, records, kind)
        if known is None:
            return _check_pair(dataset, index, cache, records, kind)
        if cache is not None and in_memory and time.monotonic() - start < FILLING_SECONDS:
            cache.keep(index, dataset.image(index), dataset.label_map(index))
        return known

    yield from in_order(check, len(dataset))
    records.save(seconds=time.monotonic() - start)


def _known_pair(
    dataset: FileDataset, index: int, records: FileRecords, kind: str
) -> Checked | None:
    """The result for a pair that is as it was when no fault was found."""
    pair = dataset.pairs[index]
    label = look_up(records, kind, pair).known
    image = records.find(_image_kind(dataset), pair.image)[1]
    if label is None or image is None or not set(label.counts) <= set(dataset.labels.values):
        return None
    height, width, mode, orientation = image
    if label.size != (height, width):
        return None
    turned = is_turned_alone(label.size, orientation, _orientation_of_label(dataset, index))
    return Checked(label.size, mode, classes_of(label.counts, dataset.labels), turned)


def _orientation_of_label(dataset: FileDataset, index: int) -> Callable[[], int]:
    path, limit = dataset.pairs[index].label, dataset.images.max_pixels
    return partial(read_orientation, path, max_pixels=limit)


def _image_kind(dataset: FileDataset) -> str:
    """What is right in an image depends on how it is to be read."""
    return IMAGE if dataset.images.is_plain else f"{IMAGE} {dataset.images}"


def _check_pair(
    dataset: FileDataset,
    index: int,
    cache: CachedDataset | None,
    records: FileRecords,
    kind: str,
) -> Checked | list[Fault]:
    """Size, kind and classes of a pair without fault; else all its faults."""
    pair, rules = dataset.pairs[index], _image_kind(dataset)
    look, (stamp, _) = look_up(records, kind, pair), records.find(rules, pair.image)
    found = look_at(dataset, index, pair, partial(inspect_image, pair.image, dataset.images), cache)
    facts, result, limit = found.facts, found.result, dataset.images.max_pixels
    if facts is not None:
        records.keep(rules, pair.image, stamp, [*facts.size, facts.kind, facts.orientation])
        if isinstance(result, Checked):
            asked = _orientation_of_label(dataset, index)
            turned = is_turned_alone(result.size, facts.orientation, asked)
            result = result._replace(turned_alone=turned)
    if found.label_size is not None:
        note(records, look, pair, found.label_size, dict(found.counts), max_pixels=limit)
    return result


def _count(
    dataset: SegmentationDataset, index: int, result: Checked | list[Fault], scan: _Scan
) -> None:
    if isinstance(result, list):
        scan.faults += result
        return
    for class_id, count in result.pixels.items():
        scan.counts[class_id] += count
    scan.sizes[result.size] = scan.sizes.get(result.size, 0) + 1
    if result.kind:
        scan.kinds[result.kind] = scan.kinds.get(result.kind, 0) + 1
    if result.turned_alone:
        scan.turned_alone.append(dataset.name(index))
    if set(result.pixels) <= {dataset.labels.ignore_index}:
        path = dataset.label_path(index)
        scan.all_ignored.append(dataset.name(index) if path is None else str(path))


def _summary(dataset: SegmentationDataset, scan: _Scan, much_ignored: float) -> DatasetSummary:
    labels = dataset.labels
    total = int(scan.counts.sum())
    ignored = int(scan.counts[labels.ignore_index])
    per_class = tuple(int(count) for count in scan.counts[: labels.num_classes])
    found = split_warnings(
        dataset,
        pixels_per_class=per_class,
        ignored_share=ignored / max(total, 1),
        much_ignored=much_ignored,
        all_ignored=scan.all_ignored,
        turned_alone=scan.turned_alone,
        kinds=scan.kinds,
    )
    return DatasetSummary(
        num_images=len(dataset),
        pixels_per_class=per_class,
        ignored_share=ignored / max(total, 1),
        sizes=scan.sizes,
        kinds=scan.kinds,
        num_all_ignored=len(scan.all_ignored),
        warnings=found,
    )
