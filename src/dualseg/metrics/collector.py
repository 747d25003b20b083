"""What every score beyond the confusion matrix is: something that images are added to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dualseg.core.labels import IGNORE_INDEX


@dataclass(frozen=True)
class ScoredImage:
    """One image with its answer.

    Args:
        index: In the data set.
        target: (H, W) uint8 class ids, or `ignore_index`.
        preds: (H, W) uint8 class ids.
        confusion: (K, K) counts of this image.
        logits: (1, K, H, W).
        ignore_index: Id of pixels that do not count.
        feature_shift: How far its features lie from the training data's, where watched.
    """

    index: int
    target: NDArray[np.uint8]
    preds: NDArray[np.uint8]
    confusion: NDArray[np.int64]
    logits: Tensor
    ignore_index: int = IGNORE_INDEX
    feature_shift: float | None = None


class Collector(Protocol):
    """Collects one kind of score in whole numbers, so that any order and sharing gives the same."""

    def add(self, image: ScoredImage) -> None:
        """Counts one image."""
        ...

    def merge(self, other: Any) -> None:
        """Adds what another collector of the same kind has counted on other images."""
        ...

    def result(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Keys and values for the JSON object; None where there is nothing to say."""
        ...


def by_class(
    names: Sequence[str], numerators: NDArray[np.int64], denominators: NDArray[np.int64]
) -> dict[str, float | None]:
    """Class name -> ratio; None where the denominator is 0."""
    return {
        name: int(above) / int(below) if below else None
        for name, above, below in zip(names, numerators, denominators, strict=True)
    }


def mean_of_known(values: dict[str, float | None]) -> float | None:
    """Mean of the values that exist."""
    known = [value for value in values.values() if value is not None]
    return sum(known) / len(known) if known else None
