"""Whether a probability of 0.8 is right in 8 of 10 pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualseg.metrics.collector import ScoredImage

UNITS = 1 << 20
"""Sums of confidences are kept in this fraction of one, as whole numbers."""


class Calibration:
    """Expected calibration error, and the bins of a reliability plot.

    Every valid pixel counts. Bins are of equal width and closed on the right.

    Args:
        num_bins: Bins from 0 to 1.

    Source: Guo et al. 2017, arXiv:1706.04599, section 2.
    """

    def __init__(self, num_bins: int = 15):
        self.pixels = np.zeros(num_bins, np.int64)
        self.right = np.zeros(num_bins, np.int64)
        self.confidence = np.zeros(num_bins, np.int64)  # in UNITS

    def add(self, image: ScoredImage) -> None:
        num_bins = len(self.pixels)
        best = image.logits[0].float().softmax(dim=0).amax(dim=0).cpu().numpy()
        valid = image.target != image.ignore_index
        confidence, right = best[valid], (image.target == image.preds)[valid]
        edges = np.linspace(0, 1, num_bins + 1, dtype=np.float32)[1:-1]
        bins = np.searchsorted(edges, confidence, side="left")
        self.pixels += np.bincount(bins, minlength=num_bins)
        self.right += np.bincount(bins[right], minlength=num_bins)
        sums = np.bincount(bins, weights=confidence, minlength=num_bins)
        self.confidence += np.rint(sums * UNITS).astype(np.int64)

    def merge(self, other: "Calibration") -> None:
        self.pixels += other.pixels
        self.right += other.right
        self.confidence += other.confidence

    def result(self, class_names: Sequence[str]) -> dict[str, Any]:
        """`calibration`: `ece`, and `bins` with their range, pixels, accuracy and confidence."""
        num_bins, total = len(self.pixels), int(self.pixels.sum())
        bins, gap = [], 0.0
        for number in range(num_bins):
            pixels = int(self.pixels[number])
            accuracy = int(self.right[number]) / pixels if pixels else None
            confidence = int(self.confidence[number]) / UNITS / pixels if pixels else None
            if accuracy is not None and confidence is not None:
                gap += pixels * abs(accuracy - confidence)
            place = {"from": number / num_bins, "to": (number + 1) / num_bins, "pixels": pixels}
            bins.append({**place, "accuracy": accuracy, "confidence": confidence})
        return {"calibration": {"ece": gap / total if total else None, "bins": bins}}
