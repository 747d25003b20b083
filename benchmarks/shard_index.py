"""Shards against plain files: how long opening takes, and random reads of images and labels.

    python benchmarks/shard_index.py [NUM_IMAGES]

Small PNG pairs (64x64) are written twice: as two files each, and in shards of 10,000 images as
another tool would write them, without an index. Everything is read in one process and one thread
but for the indexing, from files that the system has just written and still holds in memory; so
these are the costs of the software, not of a disk. Reading by position is measured with and
without decoding.
"""

import io
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.shards.reader import ShardDataset
from dualseg.data.shards.source import describe_shards

NUM_IMAGES, PER_SHARD, READS, SIZE = 50_000, 10_000, 5_000, 64
LABELS = LabelSpec(tuple(f"class_{n}" for n in range(8)), voc_palette(8))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else NUM_IMAGES
    with tempfile.TemporaryDirectory() as place:
        files, shards = Path(place, "files"), Path(place, "shards")
        _write(files, shards, count)
        seconds = _seconds(lambda: describe_shards(str(shards)).open("train"))
        print(f"{2 * count:,} members in {-(-count // PER_SHARD)} shards")
        print(f"index from headers: {seconds:6.2f} s ({2 * count / seconds:,.0f} members/s)")
        seconds = _seconds(lambda: describe_shards(str(shards)).open("train"))
        print(f"opened again:       {seconds:6.2f} s")
        _compare(_files(files, count), describe_shards(str(shards)).open("train"))


def _compare(files: FileDataset, shards: ShardDataset) -> None:
    order = np.random.default_rng(0).integers(0, len(files), READS).tolist()
    reads: dict[str, Callable[[int], object]] = {
        "files, bytes": lambda n: (
            files.pairs[n].image.read_bytes(),
            files.pairs[n].label.read_bytes(),
        ),
        "shards, bytes": lambda n: (shards.image_bytes(n), shards.label_bytes(n)),
        "files, decoded": lambda n: (files.image(n), files.label_map(n)),
        "shards, decoded": lambda n: (shards.image(n), shards.label_map(n)),
    }
    for name, read in reads.items():
        seconds = _seconds(lambda read=read: [read(index) for index in order])
        print(f"{name:16} {len(order) / seconds:10,.0f} pairs/s")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _write(files: Path, shards: Path, count: int) -> None:
    """Sixteen different pairs, over and over."""
    pictures = _pictures()
    for folder in (files, shards):
        folder.mkdir()
    (shards / "dataset.yaml").write_text(f"class_names: [{', '.join(LABELS.class_names)}]\n")
    for first in range(0, count, PER_SHARD):
        with tarfile.open(shards / f"train-{first // PER_SHARD:06d}.tar", "w") as tar:
            for number in range(first, min(first + PER_SHARD, count)):
                for ending, content in zip(("png", "seg.png"), pictures[number % 16], strict=True):
                    info = tarfile.TarInfo(f"{number:08d}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
                    (files / f"{number:08d}.{ending}").write_bytes(content)


def _pictures() -> list[tuple[bytes, bytes]]:
    random = np.random.default_rng(0)
    return [
        (
            _png(random.integers(0, 256, (SIZE, SIZE, 3), np.uint8)),
            _png(random.integers(0, 8, (4, 4), np.uint8).repeat(SIZE // 4, 0).repeat(SIZE // 4, 1)),
        )
        for _ in range(16)
    ]


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def _files(folder: Path, count: int) -> FileDataset:
    names = (f"{number:08d}" for number in range(count))
    pairs = tuple(Pair(n, folder / f"{n}.png", folder / f"{n}.seg.png") for n in names)
    return FileDataset(pairs, LABELS, "train")


if __name__ == "__main__":
    main()
