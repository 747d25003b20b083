"""The usual scores of semantic segmentation, from one confusion matrix over a whole data set."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError


@dataclass(frozen=True)
class Scores:
    """All scores are 0 to 1 and count every pixel of the data set alike, ignored ones left out.

    Args:
        miou: Mean of the IoUs that exist.
        pixel_accuracy: Share of pixels that are right.
        class_accuracy: Mean recall of the classes that have ground-truth pixels.
        fwiou: IoUs weighted with each class's share of ground-truth pixels.
        iou_per_class: None for a class that is neither in the ground truth nor predicted. A class
            that is predicted but not in the ground truth has IoU 0 and counts in the mean.
        pixels_per_class: Ground-truth pixels.
        ignored_share: Ignored pixels divided by all pixels.
    """

    miou: float
    pixel_accuracy: float
    class_accuracy: float
    fwiou: float
    iou_per_class: tuple[float | None, ...]
    pixels_per_class: tuple[int, ...]
    ignored_share: float

    @property
    def classes_without_pixels(self) -> tuple[int, ...]:
        """Ids of the classes that have no ground-truth pixel: nothing is known about them."""
        return tuple(i for i, pixels in enumerate(self.pixels_per_class) if pixels == 0)


def scores_from_confusion(confusion: NDArray[np.int64], *, num_ignored: int = 0) -> Scores:
    """Works the scores out.

    Args:
        confusion: (K, K) counts, rows truth, columns predictions.
        num_ignored: Pixels that were left out of it.

    Raises:
        InputError: Not one pixel was counted.
    """
    num_valid = int(confusion.sum())
    if num_valid == 0:
        raise InputError(
            f"there is nothing to score: all {num_ignored:,} pixels are ignored. "
            "Check the label values of the data set (dualseg data check)"
        )
    right = np.diag(confusion)
    truth = confusion.sum(axis=1)
    iou = iou_per_class(confusion)
    has_truth = truth > 0
    recall = right[has_truth] / truth[has_truth]
    return Scores(
        miou=float(np.nanmean(iou)),
        pixel_accuracy=float(right.sum() / num_valid),
        class_accuracy=float(recall.mean()),
        fwiou=float((truth[has_truth] / num_valid) @ iou[has_truth]),
        iou_per_class=tuple(None if np.isnan(value) else float(value) for value in iou),
        pixels_per_class=tuple(int(pixels) for pixels in truth),
        ignored_share=num_ignored / (num_valid + num_ignored),
    )


def iou_per_class(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """(K,) intersection over union; NaN where the union is empty."""
    right = np.diag(confusion).astype(np.float64)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - np.diag(confusion)
    return np.divide(right, union, out=np.full(len(right), np.nan), where=union > 0)


def miou_of_image(confusion: NDArray[np.int64]) -> float | None:
    """Mean IoU over the classes in this image's ground truth; None where every pixel is ignored.

    It ranks images. Its mean over images is a different number from the data set's mIoU, and
    usually a higher one.
    """
    present = confusion.sum(axis=1) > 0
    return float(iou_per_class(confusion)[present].mean()) if present.any() else None
