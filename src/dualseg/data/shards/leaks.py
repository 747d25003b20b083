"""Images that stand twice in shards: within a split, or in two of them."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from dualseg.data.shards.reader import ShardDataset
from dualseg.data.shards.samples import IMAGE_SIZE


def equal_images(splits: Sequence[ShardDataset]) -> list[list[tuple[int, int]]]:
    """Groups of images with the same bytes; only those of equal length are read.

    Args:
        splits: Those to compare.

    Returns:
        Each group's (number of the split, index), ascending; groups in the order of their first.
    """
    by_length: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, split in enumerate(splits):
        for index, length in enumerate(split.samples.places[:, IMAGE_SIZE].tolist()):
            by_length[length].append((number, index))
    groups: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for length, places in by_length.items():
        for number, index in places if len(places) > 1 else []:
            content = splits[number].image_bytes(index)
            digest = hashlib.blake2b(content, digest_size=16).digest()
            groups[length.to_bytes(8, "big") + digest].append((number, index))
    return sorted(group for group in groups.values() if len(group) > 1)
