"""How right a network is near boundaries, and how far from them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.metrics.collector import ScoredImage
from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.contours import contour, distance_from
from dualseg.metrics.scores import scores_from_confusion

LIMITS = (2, 4, 8, 16)
"""Pixels. A finer answer helps in the first bands; beyond the last one classes are mistaken."""


class Trimap:
    """Pixel accuracy and mIoU by the distance from the ground truth's boundaries.

    Bands are half open: the first holds distances of 0 up to the first limit, the last one all
    from the last limit on, and every pixel of an image without a boundary. Counts are added over
    the data set before they are divided.

    Args:
        num_classes: K.
        limits: Ascending distances in pixels at which one band ends and the next begins.

    Source: the trimaps of Kohli, Ladický and Torr 2009 and of Krähenbühl and Koltun 2011,
        arXiv:1210.5644; `within` is what their plots show. Differs: an ignored pixel bounds its
        neighbours as another class does.
    """

    def __init__(self, num_classes: int, *, limits: Sequence[int] = LIMITS):
        self.limits = tuple(limits)
        self.confusions = np.zeros((len(self.limits) + 1, num_classes, num_classes), np.int64)

    def add(self, image: ScoredImage) -> None:
        distance = distance_from(contour(image.target))
        low, beyond = 0, image.confusion.copy()
        for high, confusion in zip(self.limits, self.confusions[:-1], strict=True):
            inside = (distance >= low) & (distance < high)
            counted = confusion_matrix(
                image.target[inside],
                image.preds[inside],
                len(confusion),
                ignore_index=image.ignore_index,
            )
            confusion += counted
            beyond -= counted
            low = high
        self.confusions[-1] += beyond

    def merge(self, other: "Trimap") -> None:
        self.confusions += other.confusions

    def result(self, class_names: Sequence[str]) -> dict[str, Any]:
        """`trimap`: of each of the `bands` and `within` each limit `from`, `to` (null: no end),
        `pixels`, `pixel_accuracy` and `miou` (null without pixels)."""
        ends = (*self.limits, None)
        bands = zip((0, *self.limits), ends, self.confusions, strict=True)
        within = zip(self.limits, self.confusions.cumsum(axis=0)[:-1], strict=True)
        return {
            "trimap": {
                "bands": [_plain(low, high, confusion) for low, high, confusion in bands],
                "within": [_plain(0, high, confusion) for high, confusion in within],
            }
        }


def _plain(low: int, high: int | None, confusion: NDArray[np.int64]) -> dict[str, Any]:
    pixels = int(confusion.sum())
    scores = scores_from_confusion(confusion) if pixels else None
    return {
        "from": low,
        "to": high,
        "pixels": pixels,
        "pixel_accuracy": scores.pixel_accuracy if scores else None,
        "miou": scores.miou if scores else None,
    }
