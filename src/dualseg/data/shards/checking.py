"""The check of a split in shards."""

import hashlib
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dualseg.data.checking.check_records import FileRecords
from dualseg.data.checking.pair_check import Checked, Look, is_turned_alone, look_at
from dualseg.data.dataset import Pair
from dualseg.data.faults import Fault
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.loading.cache_stores import DiskStore
from dualseg.data.scanning import in_order
from dualseg.data.shards.reader import ShardDataset

ROW = 2  # what is kept of a sample; another number makes older rows unknown


def check_members(
    dataset: ShardDataset,
    cache: CachedDataset | None,
    records: FileRecords,
    *,
    filling_seconds: float,
) -> Iterator[Checked | list[Fault]]:
    """Results in the order of the data set; of shards on this machine they are kept.

    Args:
        dataset: The split.
        cache: Filled with what is decoded.
        records: What was found before; good as long as a shard stays the same.
        filling_seconds: So long a cache in memory is filled with what needs no check.
    """
    start = time.monotonic()
    in_memory = cache is not None and not isinstance(cache.store, DiskStore)
    meaning = ROW, dataset.images, dataset.labels, dataset.samples.label_extension
    kind = hashlib.blake2b(repr(meaning).encode(), digest_size=16).hexdigest()

    def check(index: int) -> Checked | list[Fault]:
        shard, name = Path(dataset.shard(index)), dataset.name(index)
        stamp, row = records.find(kind, shard, name)
        if row is None:
            inspect = partial(dataset.inspect, index)
            pair = Pair(name, Path(dataset.image_origin(index)), Path(dataset.label_origin(index)))
            found = _with_turn(dataset, index, look_at(dataset, index, pair, inspect, cache))
            if isinstance(found, Checked):
                flat = [number for counted in found.pixels.items() for number in counted]
                facts = [*found.size, found.kind, found.turned_alone]
                records.keep(kind, shard, stamp, [*facts, *flat], name)
            return found
        height, width, mode, turned, *flat = row
        if cache is not None and in_memory and time.monotonic() - start < filling_seconds:
            cache.keep(index, dataset.image(index), dataset.label_map(index))
        pixels = dict(zip(flat[0::2], flat[1::2], strict=True))
        return Checked((height, width), mode, pixels, turned)

    yield from in_order(check, len(dataset))
    records.save(seconds=time.monotonic() - start)


def _with_turn(dataset: ShardDataset, index: int, look: Look) -> Checked | list[Fault]:
    """The result, with whether EXIF turns the image alone."""
    result, facts = look.result, look.facts
    if facts is None or not isinstance(result, Checked):
        return result
    asked = partial(dataset.label_orientation, index)
    turned = is_turned_alone(result.size, facts.orientation, asked)
    return result._replace(turned_alone=turned)
