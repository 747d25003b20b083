"""How often each training image is drawn."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.labels.label_counts import count_classes


def rare_class_weights(
    dataset: SegmentationDataset,
    *,
    temperature: float,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.float64]:
    """Probability of each image, so that images with rare classes come more often.

    A class is drawn with probability softmax((1 - frequency) / temperature), then an image among
    those that hold it. Images without a labelled pixel are never drawn.

    Args:
        dataset: The training split; labels that were checked before are not read again.
        temperature: Low values favour rare classes strongly; high ones make all classes equally
            likely.
        progress: Called with (done, total) after each image.

    Returns:
        (N,) summing to 1.

    Raises:
        InputError: No image has a labelled pixel.

    Source: Hoyer et al. 2022 (DAFormer), arXiv:2111.14887, section 3.3.
    """
    k = dataset.labels.num_classes
    pixels = np.zeros(k, np.int64)
    holds = np.zeros((len(dataset), k), bool)
    for index, counts in enumerate(count_classes(dataset, progress=progress)):
        for value, count in counts.items():
            if value < k:
                pixels[value] += count
                holds[index, value] = True
    present = pixels > 0
    if not present.any():
        raise InputError(
            "data.sampling=rare_classes draws images by their classes, but no pixel of the "
            f"{len(dataset)} images of {dataset.split} has one, all are ignored; correct the "
            "labels, or use data.sampling=uniform"
        )
    frequency = pixels / pixels.sum()
    scores = np.where(present, (1 - frequency) / temperature, -np.inf)
    classes = np.exp(scores - scores[present].max())
    classes /= classes.sum()
    images_of = np.maximum(1, holds.sum(axis=0))
    return (holds * (classes / images_of)).sum(axis=1)
