"""Seconds until the first batch of a folder of many images, the first time and after that.

    python benchmarks/first_batch.py --images 100000

The images are hard links to a few files of 128x128 (JPEG and index PNG), so that the figures tell
what each file costs besides its pixels. Records of what was checked go into a temporary folder.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from dualseg.config import DataSettings
from dualseg.data.catalog import open_splits
from dualseg.data.checking.checker import check_dataset
from dualseg.data.checking.leaks import describe_leak
from dualseg.data.loading.loaders import TrainLoader
from dualseg.data.scanning import num_threads

SIZE, NUM_CLASSES, NUM_FILES = 128, 5, 64  # a file system allows only so many links to a file


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000)
    images = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        root = Path(folder) / "data"
        with timed(f"writing {images} pairs"):
            write_folder(root, images)
        print(f"{num_threads()} threads")
        for title in ("first time", "once more"):
            print(f"-- {title}")
            with timed("until the first batch"):
                first_batch(root)


def first_batch(root: Path) -> None:
    """What a training does before its first step, apart from the network."""
    with timed("open_splits"):
        splits = open_splits(DataSettings(root=str(root)))
    with timed("check train"):
        check_dataset(splits.train)
    with timed("check val"):
        check_dataset(splits.val)
    with timed("images in both splits"):
        describe_leak(splits.train, splits.val)
    with timed("first batch"):
        loader = TrainLoader(
            splits.train,
            crop_size=(96, 96),
            scale_range=(0.5, 2.0),
            flip=True,
            photometric=0.2,
            batch_size=16,
            seed=0,
            num_workers=0,
        )
        next(loader.batches(0))


def write_folder(root: Path, images: int) -> None:
    """root/images and root/masks, as links to `NUM_FILES` pairs of different content."""
    random = np.random.default_rng(0)
    for folder in ("images", "masks", "originals"):
        (root.parent / "originals" if folder == "originals" else root / folder).mkdir(parents=True)
    originals = []
    for number in range(min(NUM_FILES, images)):
        coarse = random.integers(0, NUM_CLASSES, (8, 8), np.uint8)
        ids = np.kron(coarse, np.ones((SIZE // 8, SIZE // 8), np.uint8))
        shades = random.integers(0, 255, (NUM_CLASSES, 3), np.uint8)[ids]
        image, mask = (root.parent / f"originals/{number}.{kind}" for kind in ("jpg", "png"))
        Image.fromarray(shades).save(image, quality=90)
        Image.fromarray(ids).save(mask)
        originals.append((image, mask))
    for number in range(images):
        image, mask = originals[number % len(originals)]
        os.link(image, root / f"images/{number:06}.jpg")
        os.link(mask, root / f"masks/{number:06}.png")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Prints the seconds by the clock, and those of all threads on their cores."""
    start, busy = time.perf_counter(), time.process_time()
    yield
    clock, cores = time.perf_counter() - start, time.process_time() - busy
    print(f"{what:28} {clock:8.2f} s {cores:8.2f} s of a core", flush=True)


if __name__ == "__main__":
    main()
