"""What a data set looks like in numbers: classes, colours, sizes."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import SegmentationDataset, count_values, images_of
from dualseg.data.labels.class_weights import class_weights
from dualseg.data.scanning import in_order


@dataclass(frozen=True)
class DatasetStatistics:
    """Counted on the files as they are, not on augmented crops.

    Args:
        num_images: Images with labels.
        pixels_per_class: Pixels of each class.
        images_per_class: Images that hold at least one pixel of it.
        ignored_pixels: Pixels of no class.
        sizes: (height, width) -> number of images.
        mean: Of each band (RGB) over all pixels, for values in 0..1.
        std: Standard deviation of each band over all pixels, likewise.
    """

    num_images: int
    pixels_per_class: tuple[int, ...]
    images_per_class: tuple[int, ...]
    ignored_pixels: int
    sizes: dict[Size, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def dataset_statistics(
    dataset: SegmentationDataset, *, progress: Callable[[int, int], object] | None = None
) -> DatasetStatistics:
    """One pass over all images and labels.

    Args:
        dataset: A split.
        progress: Called with (done, total) before the first image and after each.

    Raises:
        InputError: The split is empty, or a file is bad.
    """
    if len(dataset) == 0:
        raise InputError(f"the split {dataset.split!r} holds no image")
    pixels = np.zeros(256, np.int64)
    images = np.zeros(256, np.int64)
    sizes: dict[Size, int] = {}
    bands = images_of(dataset).num_channels
    total, squares, count = np.zeros(bands), np.zeros(bands), 0
    if progress is not None:
        progress(0, len(dataset))
    for done, (counts, size, mean, std) in enumerate(
        in_order(lambda index: _look(dataset, index), len(dataset)), start=1
    ):
        for class_id, number in counts.items():
            pixels[class_id] += number
            images[class_id] += 1
        sizes[size] = sizes.get(size, 0) + 1
        area = size[0] * size[1]
        total += mean * area
        squares += (std**2 + mean**2) * area
        count += area
        if progress is not None:
            progress(done, len(dataset))
    mean = total / count
    std = np.sqrt(np.maximum(0.0, squares / count - mean**2))
    k = dataset.labels.num_classes
    return DatasetStatistics(
        num_images=len(dataset),
        pixels_per_class=tuple(pixels[:k].tolist()),
        images_per_class=tuple(images[:k].tolist()),
        ignored_pixels=int(pixels[dataset.labels.ignore_index]),
        sizes=sizes,
        mean=tuple((mean / 255).tolist()),
        std=tuple((std / 255).tolist()),
    )


def inverse_log_weights(statistics: DatasetStatistics) -> tuple[float, ...]:
    """`class_weights` by inverse_log; all 0 where nothing is labelled."""
    return _weights(statistics, "inverse_log")


def median_frequency_weights(statistics: DatasetStatistics) -> tuple[float, ...]:
    """`class_weights` by median_frequency; all 0 where nothing is labelled."""
    return _weights(statistics, "median_frequency")


def describe_sizes(statistics: DatasetStatistics, most: int = 5) -> str:
    """`367 of 360x480`, the most frequent first."""
    ordered = sorted(statistics.sizes.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count} of {height}x{width}" for (height, width), count in ordered[:most]]
    more = len(ordered) - most
    return ", ".join(shown) + (f" and {more} more sizes" if more > 0 else "")


def class_shares(statistics: DatasetStatistics, labels: LabelSpec) -> dict[str, float]:
    """Class name -> share of the labelled pixels."""
    return dict(zip(labels.class_names, _frequencies(statistics), strict=True))


def _look(
    dataset: SegmentationDataset, index: int
) -> tuple[dict[int, int], Size, NDArray[np.float64], NDArray[np.float64]]:
    """Classes, size, and mean and deviation of each band."""
    image, label_map = dataset.image(index), dataset.label_map(index)
    # cv2 is ten times faster than numpy, but takes four bands at most.
    some = [np.ascontiguousarray(image[..., i : i + 4]) for i in range(0, image.shape[2], 4)]
    both = [cv2.meanStdDev(bands) for bands in some]
    mean, std = (
        np.concatenate([found[i].ravel() for found in both]).astype(np.float64) for i in (0, 1)
    )
    return count_values(label_map), (label_map.shape[0], label_map.shape[1]), mean, std


def _weights(statistics: DatasetStatistics, rule: str) -> tuple[float, ...]:
    counts = statistics.pixels_per_class
    return class_weights(counts, rule) if any(counts) else (0.0,) * len(counts)


def _frequencies(statistics: DatasetStatistics) -> list[float]:
    total = max(1, sum(statistics.pixels_per_class))
    return [pixels / total for pixels in statistics.pixels_per_class]
