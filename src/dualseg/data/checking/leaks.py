"""Images that stand in two splits: a score measured on them is no score."""

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from dualseg.core.errors import first_few
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.shards.leaks import equal_images
from dualseg.data.shards.reader import ShardDataset

CHUNK_BYTES = 1 << 20
FIRST_BYTES = 1 << 14


def shared_images(
    first: SegmentationDataset, second: SegmentationDataset
) -> list[tuple[Path, Path]]:
    """Pairs of files, one in each split, with the same content under whatever name.

    Images that are drawn and have no file are left out, as are re-encoded copies: those need eyes.

    Returns:
        Each file of `first` that is also in `second`, with the first such file there.
    """
    one, other = shards_of(first), shards_of(second)
    if one is not None and other is not None:
        return [
            (Path(one.image_origin(index)), Path(other.image_origin(group[-1][1])))
            for group in equal_images([one, other])
            for number, index in group
            if number == 0 and group[-1][0] == 1
        ]
    ours, theirs = image_files(first), image_files(second)
    pairs = []
    for group in equal_files([*ours, *theirs]):
        in_first = [path for number, path in group if number < len(ours)]
        in_second = [path for number, path in group if number >= len(ours)]
        pairs += [(path, in_second[0]) for path in in_first if in_second]
    return pairs


def describe_leak(first: SegmentationDataset, second: SegmentationDataset) -> str | None:
    """`shared_images` in a sentence, or None where there are none."""
    pairs = shared_images(first, second)
    if not pairs:
        return None
    shown = ", ".join(first_few([f"{a} = {b}" for a, b in pairs]))
    return (
        f"{len(pairs)} images stand in {first.split} and in {second.split}, so scores on "
        f"{second.split} are too good: {shown}"
    )


def shards_of(dataset: SegmentationDataset) -> ShardDataset | None:
    """The shards a split is read from, also behind a cache; None for others."""
    source = getattr(dataset, "dataset", dataset)
    return source if isinstance(source, ShardDataset) else None


def image_files(dataset: SegmentationDataset) -> list[Path]:
    """The image files of a split."""
    paths = (dataset.image_path(index) for index in range(len(dataset)))
    return [path for path in paths if path is not None]


def equal_files(paths: Sequence[Path]) -> list[list[tuple[int, Path]]]:
    """Groups of two or more files of equal content, each with its number in `paths`.

    Only files of equal length are read: their start first, and the whole of those that begin alike.
    Links to one file are read once; what is no file is left out.
    """
    facts = {number: found for number, path in enumerate(paths) if (found := _facts(path))}
    same_file: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, found in facts.items():
        # Without an inode (some network drives) each path is a file of its own.
        same_file[(found.st_dev, found.st_ino) if found.st_ino else (-1, number)].append(number)
    links = {numbers[0]: numbers for numbers in same_file.values()}
    by_length: dict[int, list[int]] = defaultdict(list)
    for number in links:
        by_length[facts[number].st_size].append(number)
    equal = [
        sorted(number for one in alike for number in links[one])
        for candidates in by_length.values()
        for alike in _alike(paths, candidates)
    ]
    return [[(number, paths[number]) for number in group] for group in sorted(equal) if group[1:]]


def _facts(path: Path) -> os.stat_result | None:
    try:
        facts = os.stat(path)
    except OSError:  # a check tells
        return None
    return facts if stat.S_ISREG(facts.st_mode) else None


def _alike(paths: Sequence[Path], numbers: list[int]) -> list[list[int]]:
    """Files of one length, grouped by content; a file alone of its length is not read."""
    if len(numbers) == 1:
        return [numbers]
    found = []
    for starts_alike in _grouped(paths, numbers, FIRST_BYTES):
        whole = _grouped(paths, starts_alike, None) if len(starts_alike) > 1 else [starts_alike]
        found += whole
    return found


def _grouped(paths: Sequence[Path], numbers: list[int], most: int | None) -> list[list[int]]:
    groups: dict[bytes, list[int]] = defaultdict(list)
    for number in numbers:
        try:
            groups[_digest(paths[number], most)].append(number)
        except OSError:  # a check tells
            continue
    return list(groups.values())


def _digest(path: Path, most: int | None) -> bytes:
    """Of the first bytes, or of all."""
    state = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        if most is not None:
            state.update(file.read(most))
        else:
            while chunk := file.read(CHUNK_BYTES):
                state.update(chunk)
    return state.digest()
