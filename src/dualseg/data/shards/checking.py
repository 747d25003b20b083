"""The check of a split in shards."""

import hashlib
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dualseg.data.checking.check_records import FileRecords
from dualseg.data.checking.pair_check import Checked, look_at
from dualseg.data.dataset import Pair
from dualseg.data.faults import Fault
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.loading.cache_stores import DiskStore
from dualseg.data.scanning import in_order
from dualseg.data.shards.reader import ShardDataset


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
    meaning = repr((dataset.images, dataset.labels, dataset.samples.label_extension)).encode()
    kind = hashlib.blake2b(meaning, digest_size=16).hexdigest()

    def check(index: int) -> Checked | list[Fault]:
        shard, name = Path(dataset.shard(index)), dataset.name(index)
        stamp, row = records.find(kind, shard, name)
        if row is None:
            pair = Pair(name, Path(dataset.image_origin(index)), Path(dataset.label_origin(index)))
            found = look_at(dataset, index, pair, partial(dataset.inspect, index), cache).result
            if isinstance(found, Checked):
                flat = [number for counted in found.pixels.items() for number in counted]
                records.keep(kind, shard, stamp, [*found.size, found.kind, *flat], name)
            return found
        height, width, mode, *flat = row
        if cache is not None and in_memory and time.monotonic() - start < filling_seconds:
            cache.keep(index, dataset.image(index), dataset.label_map(index))
        pixels = dict(zip(flat[0::2], flat[1::2], strict=True))
        return Checked((height, width), mode, pixels)

    yield from in_order(check, len(dataset))
    records.save(seconds=time.monotonic() - start)
