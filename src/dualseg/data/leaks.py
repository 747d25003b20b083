"""Images that stand in two splits: a score measured on them is no score."""

import hashlib
from collections import defaultdict
from pathlib import Path

from dualseg.core.errors import first_few
from dualseg.data.dataset import SegmentationDataset

CHUNK_BYTES = 1 << 20


def shared_images(
    first: SegmentationDataset, second: SegmentationDataset
) -> list[tuple[Path, Path]]:
    """Pairs of files, one in each split, with the same content under whatever name.

    Only files of equal length are read. Images that are drawn and have no file are left out, as are
    re-encoded copies: those need eyes.
    """
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in _files(second):
        by_size[path.stat().st_size].append(path)
    pairs = []
    digests: dict[Path, bytes] = {}
    for path in _files(first):
        for other in by_size.get(path.stat().st_size, []):
            if _digest(path, digests) == _digest(other, digests):
                pairs.append((path, other))
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


def _files(dataset: SegmentationDataset) -> list[Path]:
    paths = (dataset.image_path(index) for index in range(len(dataset)))
    return [path for path in paths if path is not None and path.is_file()]


def _digest(path: Path, known: dict[Path, bytes]) -> bytes:
    if path not in known:
        state = hashlib.blake2b(digest_size=16)
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                state.update(chunk)
        known[path] = state.digest()
    return known[path]
