"""What a data set looks like in numbers: classes, colours, sizes."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import SegmentationDataset, count_values

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class DatasetStatistics:
    """Counted on the files as they are, not on augmented crops.

    Args:
        num_images: Images with labels.
        pixels_per_class: Pixels of each class.
        images_per_class: Images that hold at least one pixel of it.
        ignored_pixels: Pixels of no class.
        sizes: (height, width) -> number of images.
        mean: RGB mean over all pixels, for values in 0..1.
        std: RGB standard deviation over all pixels, likewise.
    """

    num_images: int
    pixels_per_class: tuple[int, ...]
    images_per_class: tuple[int, ...]
    ignored_pixels: int
    sizes: dict[Size, int]
    mean: Triple
    std: Triple


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
    total, squares, count = np.zeros(3), np.zeros(3), 0
    for index in range(len(dataset)):
        if progress is not None:
            progress(index, len(dataset))
        image, label_map = dataset.image(index), dataset.label_map(index)
        for class_id, number in count_values(label_map).items():
            pixels[class_id] += number
            images[class_id] += 1
        size = (label_map.shape[0], label_map.shape[1])
        sizes[size] = sizes.get(size, 0) + 1
        mean, std = (values.ravel() for values in cv2.meanStdDev(np.ascontiguousarray(image)))
        area = size[0] * size[1]
        total += mean * area
        squares += (std**2 + mean**2) * area
        count += area
    if progress is not None:
        progress(len(dataset), len(dataset))
    mean = total / count
    std = np.sqrt(np.maximum(0.0, squares / count - mean**2))
    k = dataset.labels.num_classes
    return DatasetStatistics(
        num_images=len(dataset),
        pixels_per_class=tuple(pixels[:k].tolist()),
        images_per_class=tuple(images[:k].tolist()),
        ignored_pixels=int(pixels[dataset.labels.ignore_index]),
        sizes=sizes,
        mean=_triple(mean / 255),
        std=_triple(std / 255),
    )


def inverse_log_weights(statistics: DatasetStatistics) -> tuple[float, ...]:
    """1 / ln(1.02 + frequency) of each class.

    Source: Paszke et al. 2016 (ENet), arXiv:1606.02147, section 5.2.
    """
    return tuple(float(1 / np.log(1.02 + f)) for f in _frequencies(statistics))


def median_frequency_weights(statistics: DatasetStatistics) -> tuple[float, ...]:
    """Median frequency divided by the frequency of each class; 0 for classes without a pixel.

    Source: Eigen and Fergus 2015, arXiv:1411.4734, section 6.3.2. Differs: a class's frequency is
    its share of all labelled pixels, not of those in the images that hold it.
    """
    frequencies = _frequencies(statistics)
    present = [f for f in frequencies if f > 0]
    median = float(np.median(present)) if present else 0.0
    return tuple(median / f if f > 0 else 0.0 for f in frequencies)


def describe_sizes(statistics: DatasetStatistics, most: int = 5) -> str:
    """`367 of 360x480`, the most frequent first."""
    ordered = sorted(statistics.sizes.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count} of {height}x{width}" for (height, width), count in ordered[:most]]
    more = len(ordered) - most
    return ", ".join(shown) + (f" and {more} more sizes" if more > 0 else "")


def class_shares(statistics: DatasetStatistics, labels: LabelSpec) -> dict[str, float]:
    """Class name -> share of the labelled pixels."""
    return dict(zip(labels.class_names, _frequencies(statistics), strict=True))


def _frequencies(statistics: DatasetStatistics) -> list[float]:
    total = max(1, sum(statistics.pixels_per_class))
    return [pixels / total for pixels in statistics.pixels_per_class]


def _triple(values: np.ndarray) -> Triple:
    first, second, third = (float(value) for value in values)
    return first, second, third
