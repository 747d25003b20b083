"""How far the score of another sample of images may lie: a bootstrap over images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.metrics.collector import ScoredImage


class MiouInterval:
    """Percentile interval of the mIoU over images drawn anew.

    The Poisson form of the bootstrap: in each resample an image counts 0, 1, 2, ... times, a
    number drawn from a Poisson distribution of mean 1 by a generator seeded with (seed, index). It
    needs no list of images, so memory stays flat, and it is the same however images are shared
    between processes. In every resample the mIoU is that of one matrix over all its images, and
    classes without a pixel are left out. Images are taken as independent; frames of one video are
    not, so for them the interval is too narrow.

    Args:
        num_classes: K.
        resamples: Sets of images drawn.
        level: Share of the resamples inside the interval.
        seed: Of the draws.

    Source: Efron 1979 (bootstrap); Hanley and MacGibbon 2006 (Poisson weights).
    """

    def __init__(
        self, num_classes: int, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
    ):
        self.level, self.seed = level, seed
        self.num_images = 0
        self.sums = np.zeros((resamples, 3, num_classes), np.int64)  # right, truth, predicted

    def add(self, image: ScoredImage) -> None:
        if not image.confusion.any():
            return
        draws = np.random.default_rng([self.seed, image.index]).poisson(1.0, len(self.sums))
        sums = right_truth_predicted(image.confusion)
        self.sums += draws[:, None, None] * sums
        self.num_images += 1

    def merge(self, other: "MiouInterval") -> None:
        self.sums += other.sums
        self.num_images += other.num_images

    def result(self, class_names: Sequence[str]) -> dict[str, Any]:
        """`miou_interval`: `low`, `high` and how; None for fewer than two images."""
        if self.num_images < 2:
            return {"miou_interval": None}
        drawn = self.sums[self.sums[:, 1].any(axis=1)]
        tail = (1 - self.level) / 2
        low, high = np.quantile(mious(drawn), [tail, 1 - tail])
        how = {"level": self.level, "resamples": len(self.sums), "seed": self.seed}
        method = "Poisson bootstrap over images, percentile"
        return {"miou_interval": {"low": float(low), "high": float(high), **how, "method": method}}


def right_truth_predicted(confusion: NDArray[np.int64]) -> NDArray[np.int64]:
    """(K, K) counts -> (3, K): all that IoU needs, and it adds up over images."""
    return np.stack([np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)])


def mious(sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, 3, K) of `right_truth_predicted` -> (N,) mIoU over the classes that have an IoU."""
    right, truth, predicted = sums[:, 0], sums[:, 1], sums[:, 2]
    union = truth + predicted - right
    iou = np.divide(right, union, out=np.zeros(union.shape), where=union > 0)
    return iou.sum(axis=1) / (union > 0).sum(axis=1)
