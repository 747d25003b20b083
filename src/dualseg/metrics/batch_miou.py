"""The mean of the mIoUs of batches, which one old table holds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.metrics.collector import ScoredImage
from dualseg.metrics.interval import mious, right_truth_predicted


class BatchMiou:
    """The mIoU of every batch of consecutive images, averaged over batches.

    It depends on the batch size and on the order of the images, and says little; it is here to
    compare with tables that were made so. A batch's mIoU counts the classes that are in its truth
    or its prediction. The last batch may be smaller and counts as much as the others.

    Args:
        num_classes: K.
        batch_size: Images in a batch.
    """

    def __init__(self, num_classes: int, *, batch_size: int = 8):
        self.num_classes = num_classes
        self.batch_size = batch_size
        self.batches: dict[int, NDArray[np.int64]] = {}

    def add(self, image: ScoredImage) -> None:
        self._add(image.index // self.batch_size, right_truth_predicted(image.confusion))

    def merge(self, other: "BatchMiou") -> None:
        for number, sums in other.batches.items():
            self._add(number, sums)

    def result(self, class_names: Sequence[str]) -> dict[str, Any]:
        """`miou_per_batch`: `value` and `batch_size`."""
        scored = [self.batches[number] for number in sorted(self.batches)]
        scored = [sums for sums in scored if sums.any()]
        value = float(mious(np.stack(scored)).mean()) if scored else None
        return {"miou_per_batch": {"value": value, "batch_size": self.batch_size}}

    def _add(self, number: int, sums: NDArray[np.int64]) -> None:
        self.batches[number] = self.batches[number] + sums if number in self.batches else sums
