"""Weights of classes in the loss, from their pixels in the labels as they are."""

from collections.abc import Sequence

import numpy as np

from dualseg.core.errors import InputError, nearest

CLASS_WEIGHT_RULES = ("median_frequency", "inverse_log", "cityscapes")
INVERSE_LOG_CONSTANT = 1.02
CITYSCAPES_WEIGHTS = (
    *(0.8373, 0.9180, 0.8660, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023),
    *(0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507),
)


def class_weights(
    counts: Sequence[int], rule: str, *, normalize: bool = False
) -> tuple[float, ...]:
    """One weight a class.

    Args:
        counts: Labelled pixels of each class; the ignored ones are not counted.
        rule: median_frequency: the median frequency of the classes that occur, divided by the
            class's own. inverse_log: 1 / ln(1.02 + frequency). cityscapes: a fixed list of 19.
        normalize: Whether the weights of the classes that occur are scaled to a mean of 1.

    Returns:
        A class without a pixel has weight 0 (but in the fixed list): no target names it, and it
        must not change the mean.

    Raises:
        InputError: There is no such rule, no class has a pixel, or the fixed list has another
            length.

    Source: Eigen and Fergus 2015, arXiv:1411.4734, section 6.3.2 (differs: a frequency is a share
    of all labelled pixels, not of those in the images that hold the class). Paszke et al. 2016
    (ENet), arXiv:1606.02147, section 5.2. The fixed list: training code of HRNet and others.
    """
    if rule not in CLASS_WEIGHT_RULES:
        raise InputError(f"there is no rule {rule!r}; {nearest(rule, CLASS_WEIGHT_RULES)}")
    pixels = np.asarray(counts, np.float64)
    present = pixels > 0
    if rule == "cityscapes":
        weights = _fixed(len(pixels))
    elif not present.any():
        raise InputError("no class has a labelled pixel, so classes cannot be weighed")
    else:
        frequency = pixels / pixels.sum()
        of_present = frequency[present]
        weights = np.zeros(len(pixels))
        if rule == "median_frequency":
            weights[present] = np.median(of_present) / of_present
        else:
            weights[present] = 1 / np.log(INVERSE_LOG_CONSTANT + of_present)
    if normalize and present.any():
        weights = weights / weights[present].mean()
    return tuple(weights.tolist())


def _fixed(num_classes: int) -> np.ndarray:
    if num_classes != len(CITYSCAPES_WEIGHTS):
        raise InputError(
            f"rule cityscapes is a list of {len(CITYSCAPES_WEIGHTS)} weights, the data set has "
            f"{num_classes} classes; use median_frequency or inverse_log"
        )
    return np.asarray(CITYSCAPES_WEIGHTS)
