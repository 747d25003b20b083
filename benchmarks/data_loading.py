"""Samples a second a core: 1024x2048 PNG image and label, scale 0.5-2, 768 crop, flip, colour.

    pip install -e '.[bench]'
    python benchmarks/data_loading.py

Everything runs in one process with one thread, round by round in turn, so that all meet the same
machine; the median round counts. torchvision is its reference recipe for segmentation
(references/segmentation/presets.py: random resize, flip, crop, to float, normalise) with colour
jitter, on tensors; albumentations is what its documentation shows for the same. Both end with
float tensors; ours with uint8, since it normalises on the device.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.loading.cache_stores import DiskStore, RamStore
from dualseg.data.loading.loaders import TrainLoader

HEIGHT, WIDTH, CROP = 1024, 2048, 768
NUM_IMAGES, ROUNDS = 8, 5
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LABELS = LabelSpec(tuple(f"class_{i}" for i in range(19)), voc_palette(19))

Load = Callable[[int], object]


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        dataset = _write_images(Path(folder))
        disk = CachedDataset(dataset, DiskStore(dataset, Path(folder) / "cache"))
        ram = CachedDataset(dataset, RamStore())
        pipelines: dict[str, Load] = {
            "torchvision v2": _torchvision(dataset),
            "albumentations": _albumentations(dataset),
            "ours, files": _ours(dataset),
            "ours, disk cache": _ours(disk),
            "ours, memory": _ours(ram),
        }
        seconds = _measure(pipelines)
    slowest = seconds["torchvision v2"]
    print(f"{'pipeline':18} {'ms a sample':>12} {'samples/s':>10} {'times torchvision':>18}")
    for name, value in seconds.items():
        print(f"{name:18} {1e3 * value:12.1f} {1 / value:10.1f} {slowest / value:18.1f}")


def _measure(pipelines: dict[str, Load]) -> dict[str, float]:
    """Median seconds a sample; the first round fills caches and is not counted."""
    rounds: dict[str, list[float]] = {name: [] for name in pipelines}
    for number in range(ROUNDS + 1):
        for name, load in pipelines.items():
            start = time.perf_counter()
            for index in range(NUM_IMAGES):
                load(number * NUM_IMAGES + index)
            if number:
                rounds[name].append((time.perf_counter() - start) / NUM_IMAGES)
    return {name: statistics.median(values) for name, values in rounds.items()}


def _write_images(folder: Path) -> FileDataset:
    """Smooth shapes with sensor noise: PNGs of a street camera's size, about 2 bits a pixel."""
    random = np.random.default_rng(0)
    pairs = []
    for number in range(NUM_IMAGES):
        coarse = random.integers(0, 19, (16, 32), np.uint8)
        label = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
        shades = random.integers(30, 220, (19, 3))[label]
        smooth = cv2.GaussianBlur(shades.astype(np.float32), (0, 0), 6)
        image = np.clip(smooth + random.normal(0, 2, smooth.shape), 0, 255).astype(np.uint8)
        pair = Pair(str(number), folder / f"{number}.png", folder / f"{number}_label.png")
        Image.fromarray(image).save(pair.image)
        Image.fromarray(label).save(pair.label)
        pairs.append(pair)
    return FileDataset(tuple(pairs), LABELS, "train")


def _ours(dataset: FileDataset | CachedDataset) -> Load:
    loader = TrainLoader(
        dataset,
        crop_size=(CROP, CROP),
        scale_range=(0.5, 2.0),
        flip=True,
        photometric=0.4,
        batch_size=1,
        seed=0,
    )
    batches = loader.batches(0)
    return lambda _: next(batches)


def _torchvision(dataset: FileDataset) -> Load:
    from torchvision import tv_tensors
    from torchvision.io import decode_image
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.ColorJitter(0.4, 0.4, 0.4),
            v2.RandomResize(HEIGHT // 2, HEIGHT * 2, antialias=True),
            v2.RandomHorizontalFlip(0.5),
            v2.RandomCrop(CROP, pad_if_needed=True, fill={tv_tensors.Mask: 255, "others": 0}),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    def load(index: int) -> object:
        pair = dataset.pairs[index % len(dataset)]
        image = tv_tensors.Image(decode_image(str(pair.image)))
        mask = tv_tensors.Mask(decode_image(str(pair.label)))
        return transform(image, mask)

    return load


def _albumentations(dataset: FileDataset) -> Load:
    import albumentations

    transform = albumentations.Compose(
        [
            albumentations.RandomScale((-0.5, 1.0), p=1.0),
            albumentations.PadIfNeeded(CROP, CROP, border_mode=0, fill=0, fill_mask=255),
            albumentations.RandomCrop(CROP, CROP),
            albumentations.HorizontalFlip(p=0.5),
            albumentations.ColorJitter(p=1.0),
            albumentations.Normalize(MEAN, STD),
            albumentations.ToTensorV2(),
        ]
    )

    def load(index: int) -> object:
        pair = dataset.pairs[index % len(dataset)]
        image = cv2.cvtColor(cv2.imread(str(pair.image)), cv2.COLOR_BGR2RGB)
        mask = cv2.imread(str(pair.label), cv2.IMREAD_UNCHANGED)
        return transform(image=image, mask=mask)

    return load


if __name__ == "__main__":
    main()
