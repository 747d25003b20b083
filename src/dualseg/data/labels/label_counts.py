"""What stands in the labels of a data set, from the records where it is known."""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from dualseg.core.geometry import Size
from dualseg.core.labels import LabelSpec
from dualseg.data.checking.check_records import FileRecords, Stamp, default_records_folder
from dualseg.data.checking.mask_facts import (
    MASK,
    MaskFacts,
    facts_of_values,
    mask_facts,
    mask_row,
)
from dualseg.data.dataset import (
    FileDataset,
    Pair,
    SegmentationDataset,
    count_values,
    map_values,
)
from dualseg.data.labels.label_meaning import reader_meaning
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.scanning import in_order

ClassCounts = dict[int, int]


class LabelLook(NamedTuple):
    """The records' answer for one label.

    Attributes:
        kind, part: Of the record.
        stamp: The file's facts as they are now.
        known: Size and raw values; None where the file is new or has changed.
    """

    kind: str
    part: str
    stamp: Stamp | None
    known: MaskFacts | None


def count_classes(
    dataset: SegmentationDataset,
    *,
    progress: Callable[[int, int], object] | None = None,
    records: Path | None = None,
) -> list[ClassCounts]:
    """Class id (or the ignored one) -> pixels, for each image, counted on the labels as they are.

    Args:
        dataset: Label files that a check or a description has read before are not read again.
        progress: Called with (done, total) after each.
        records: Folder of the records; that in the user's cache folder where not given.

    Raises:
        InputError: A label cannot be read, or holds values that are no class.
    """
    source = dataset.dataset if isinstance(dataset, CachedDataset) else dataset
    counts: list[ClassCounts] = []
    for found in _each(source, records):
        counts.append(found)
        if progress is not None:
            progress(len(counts), len(source))
    return counts


def label_kind(dataset: FileDataset) -> str:
    """Under which name the records keep what the data set's reader finds in a label.

    Plain label files are kept by themselves; else `reader_meaning` is a part of the name.
    """
    meaning = reader_meaning(dataset)
    return hashlib.blake2b(meaning.encode(), digest_size=16).hexdigest() if meaning else MASK


def look_up(records: FileRecords, kind: str, pair: Pair) -> LabelLook:
    """What is known of a pair's label, if it is values."""
    part = "" if kind == MASK else pair.name  # one file may hold the labels of many images
    stamp, row = records.find(kind, pair.label, part)
    known = None if row is None else mask_facts(row)
    is_values = known is not None and known.kind == "ids"
    return LabelLook(kind, part, stamp, known if is_values else None)


def note(
    records: FileRecords,
    look: LabelLook,
    pair: Pair,
    size: Size,
    counts: dict[int, int],
    *,
    max_pixels: int,
) -> None:
    """Keeps what was found in a label of values."""
    if look.kind == MASK:
        facts = facts_of_values(pair.label, size, counts, max_pixels=max_pixels)
    else:
        facts = MaskFacts(size, "ids", counts, len(counts), None, False, {})
    records.keep(look.kind, pair.label, look.stamp, mask_row(facts), look.part)


def classes_of(counts: dict[int, int], labels: LabelSpec) -> ClassCounts:
    """Raw value -> pixels, as class id -> pixels; every value must have a meaning."""
    pixels: ClassCounts = {}
    for value, count in counts.items():
        class_id = labels.values[value]
        pixels[class_id] = pixels.get(class_id, 0) + count
    return pixels


def _each(source: SegmentationDataset, records: Path | None) -> Iterator[ClassCounts]:
    if not isinstance(source, FileDataset):
        yield from in_order(lambda index: count_values(source.label_map(index)), len(source))
        return
    kept = FileRecords(records or default_records_folder())
    kind, start = label_kind(source), time.monotonic()
    yield from in_order(lambda index: _count(source, index, kind, kept), len(source))
    kept.save(seconds=time.monotonic() - start)


def _count(source: FileDataset, index: int, kind: str, records: FileRecords) -> ClassCounts:
    pair = source.pairs[index]
    look = look_up(records, kind, pair)
    if look.known is not None and set(look.known.counts) <= set(source.labels.values):
        return classes_of(look.known.counts, source.labels)
    values = source.raw_values(index)
    map_values(values, source.labels, pair.label)  # names the values that are no class
    counts = count_values(values)
    size = values.shape[0], values.shape[1]
    note(records, look, pair, size, counts, max_pixels=source.images.max_pixels)
    return classes_of(counts, source.labels)
