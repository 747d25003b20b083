"""Finds every damaged file and every label fault of a data set before the first training step."""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.data.cache import CachedDataset
from dualseg.data.cache_stores import DiskStore
from dualseg.data.check_records import Checked, CheckRecords, Key, default_records_folder
from dualseg.data.check_warnings import MUCH_IGNORED, split_warnings
from dualseg.data.dataset import (
    FileDataset,
    Pair,
    SegmentationDataset,
    count_values,
    map_values,
)
from dualseg.data.faults import DatasetError, Fault, PictureError, picture_error
from dualseg.data.images import DEEP_MODES, PictureFacts, inspect_image
from dualseg.data.label_hints import unknown_values_fault

AT_ONCE = 64  # files of a thread between two calls of `progress`
SECONDS_WORTH_RECORDING = 1.0


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
    faults: list[Fault] = field(default_factory=list)


Result = tuple[Key | None, Checked | list[Fault]]


def check_dataset(
    dataset: SegmentationDataset,
    *,
    progress: Callable[[int, int], object] | None = None,
    records: Path | None = None,
    use_records: bool = True,
    much_ignored: float = MUCH_IGNORED,
) -> DatasetSummary:
    """Decodes every image and every label; behind a cache they are kept, not decoded again.

    Files that had no fault and have not changed since (path, length, time of change, and what the
    label values mean) are not decoded again, unless a cache in memory waits for their pixels.

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
        wanted = use_records and (cache is None or isinstance(cache.store, DiskStore))
        kept = CheckRecords(source, records or default_records_folder()) if wanted else None
        results = _check_files(source, cache, kept)
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
            yield [_fault_of(error, dataset.name(index), "E110")]
            continue
        if cache is not None:
            cache.keep(index, image, label_map)
        yield Checked((label_map.shape[0], label_map.shape[1]), "", count_values(label_map))


def _check_files(
    dataset: FileDataset, cache: CachedDataset | None, records: CheckRecords | None
) -> Iterator[Checked | list[Fault]]:
    """Results in the order of the data set, from several threads: decoders let others run."""

    def check(index: int) -> tuple[Result, bool]:
        key = None if records is None else records.key(dataset.pairs[index])
        known = None if records is None else records.get(key)
        found = _check_pair(dataset, index, cache) if known is None else known
        return (key, found), known is None

    start, any_new, clean = time.monotonic(), False, []
    with ThreadPoolExecutor(_num_threads()) as threads:
        step = AT_ONCE * _num_threads()
        for first in range(0, len(dataset), step):
            some = range(first, min(first + step, len(dataset)))
            for (key, found), is_new in threads.map(check, some):
                any_new = any_new or is_new
                if key is not None and isinstance(found, Checked):
                    clean.append((key, found))
                yield found
    took = time.monotonic() - start
    if records is not None and any_new and took >= SECONDS_WORTH_RECORDING:
        records.save(clean)


def _num_threads() -> int:
    if hasattr(os, "sched_getaffinity"):
        return max(1, min(16, len(os.sched_getaffinity(0))))
    return max(1, min(16, os.cpu_count() or 1))


def _check_pair(
    dataset: FileDataset, index: int, cache: CachedDataset | None
) -> Checked | list[Fault]:
    """Size, kind and classes of a pair without fault; else all its faults."""
    pair, faults = dataset.pairs[index], []
    image = facts = values = None
    try:
        facts = inspect_image(pair.image)
        deep = facts.kind in DEEP_MODES or facts.kind.endswith(";16")
        if cache is not None or deep:
            image = dataset.image(index)  # by the rules the data set was opened with
    except InputError as error:
        faults.append(_fault_of(error, pair.image, "E110"))
    try:
        values = dataset.raw_values(index)
    except InputError as error:
        faults.append(_fault_of(error, pair.label, "E104"))
    if facts is None or values is None or faults:
        return faults
    size = (values.shape[0], values.shape[1])
    if size != facts.size:
        return [_size_fault(pair, facts, size)]
    counts = count_values(values)
    unknown = {
        value: count for value, count in counts.items() if value not in dataset.labels.values
    }
    if unknown:
        return [unknown_values_fault(pair.label, unknown, counts, dataset.labels)]
    if cache is not None and image is not None:
        cache.keep(index, image, map_values(values, dataset.labels, pair.label))
    pixels: dict[int, int] = {}
    for value, count in counts.items():
        class_id = dataset.labels.values[value]
        pixels[class_id] = pixels.get(class_id, 0) + count
    return Checked(size, facts.kind, pixels)


def _size_fault(pair: Pair, facts: PictureFacts, size: Size) -> Fault:
    height, width = facts.size
    fix = "make them equal"
    if size == (width, height):
        if facts.orientation >= 5:
            fix = (
                f"transposed: the image has EXIF orientation {facts.orientation}, which its label "
                "lacks; turn the label as the image is shown, or save the image upright"
            )
        else:
            fix = (
                "transposed: turned by 90 degrees, as where a tool has lost the EXIF orientation "
                "of one; turn it back"
            )
    return Fault(
        "E101",
        str(pair.image),
        f"is {height}x{width} (height x width), its label {pair.label} is {size[0]}x{size[1]}",
        "both of one size",
        fix,
    )


def _fault_of(error: InputError, file: Path | str, code: str) -> Fault:
    """What a reader says of a file; only those of pictures know codes."""
    if isinstance(error, PictureError):
        return error.fault
    found = str(error).replace(str(file), "", 1).strip().removeprefix(":").strip()
    return picture_error(
        code, file, found, "correct the file", expected="one class id a pixel"
    ).fault


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
