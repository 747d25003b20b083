"""IoU of the rims of regions."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dualseg.metrics.collector import ScoredImage, by_class, mean_of_known


class BoundaryIou:
    """Boundary IoU of every class: the IoU of the pixels within a distance of their region's rim.

    The distance is a share of the image's diagonal, at least one pixel, measured along the longer
    of the two axes. The border of the image is a rim too. Ignored pixels belong to no region, in
    truth and prediction alike. Counts are added over the data set before they are divided.

    Args:
        num_classes: K.
        ratio: Of the diagonal.

    Source: Cheng et al. 2021, arXiv:2103.16562, section 4. Differs: theirs scores each object, here
        a region is all of a class in an image.
    """

    def __init__(self, num_classes: int, *, ratio: float = 0.02):
        self.ratio = ratio
        self.both = np.zeros(num_classes, np.int64)
        self.either = np.zeros(num_classes, np.int64)

    def add(self, image: ScoredImage) -> None:
        num_classes = len(self.both)
        width = max(1, round(self.ratio * float(np.hypot(*image.target.shape))))
        outside = np.uint8(255)
        ignored = image.target == image.ignore_index
        truth = np.where(ignored, outside, image.target)
        preds = np.where(ignored, outside, image.preds)
        true_rim, predicted_rim = near_other(truth, width), near_other(preds, width)
        true_rim, predicted_rim = true_rim & ~ignored, predicted_rim & ~ignored
        both = true_rim & predicted_rim & (truth == preds)
        counts = [
            np.bincount(ids, minlength=num_classes)
            for ids in (truth[true_rim], preds[predicted_rim], truth[both])
        ]
        self.both += counts[2]
        self.either += counts[0] + counts[1] - counts[2]

    def merge(self, other: "BoundaryIou") -> None:
        self.both += other.both
        self.either += other.either

    def result(self, class_names: Sequence[str]) -> dict[str, Any]:
        """`boundary_iou`: `mean`, `per_class` and the `ratio` of the diagonal."""
        per_class = by_class(class_names, self.both, self.either)
        mean = mean_of_known(per_class)
        return {"boundary_iou": {"mean": mean, "per_class": per_class, "ratio": self.ratio}}


def near_other(label_map: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    """(H, W): pixels with another id, or the outside, at most `width` rows and columns away."""
    framed = cv2.copyMakeBorder(label_map, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=[255])
    window = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    differs = cv2.dilate(framed, window) != cv2.erode(framed, window)
    return np.asarray(differs[1:-1, 1:-1], np.bool_)
