"""F score of contours."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.metrics.collector import ScoredImage, by_class, mean_of_known
from dualseg.metrics.contours import contour, distance_from


class BoundaryF:
    """F score of every class's contour: precision and recall of contour pixels with a tolerance.

    A contour pixel has a neighbour (above, below, left or right) of another class; neighbours that
    are ignored or outside the image make no contour. It is matched by a contour pixel of the same
    class in the other map at most a tolerance away, a share of the image's diagonal rounded up.
    Counts are added over the data set before they are divided.

    Args:
        num_classes: K.
        ratio: Of the diagonal; 0.0075 in the boundary benchmarks of BSDS and DAVIS.

    Source: Martin et al. 2004 (precision and recall of boundaries); Csurka et al. 2013 (for
        classes); the tolerance of Perazzi et al. 2016. Differs: those average over images, and
        DAVIS counts one side of a contour only.
    """

    def __init__(self, num_classes: int, *, ratio: float = 0.0075):
        self.ratio = ratio
        self.matched = np.zeros((2, num_classes), np.int64)  # of the truth, of the prediction
        self.pixels = np.zeros((2, num_classes), np.int64)

    def add(self, image: ScoredImage) -> None:
        tolerance = math.ceil(self.ratio * float(np.hypot(*image.target.shape)))
        ignored = image.target == image.ignore_index
        maps = image.target, image.preds
        contours = [contour(label_map, ignored) for label_map in maps]
        ids = [label_map[line] for label_map, line in zip(maps, contours, strict=True)]
        for class_id in np.union1d(*ids):
            lines = [
                line & (label_map == class_id)
                for label_map, line in zip(maps, contours, strict=True)
            ]
            rows, columns = _around(lines[0] | lines[1])
            truth, preds = lines[0][rows, columns], lines[1][rows, columns]
            self.pixels[:, class_id] += int(truth.sum()), int(preds.sum())
            self.matched[0, class_id] += int((truth & (distance_from(preds) <= tolerance)).sum())
            self.matched[1, class_id] += int((preds & (distance_from(truth) <= tolerance)).sum())

    def merge(self, other: "BoundaryF") -> None:
        self.matched += other.matched
        self.pixels += other.pixels

    def result(self, class_names: Sequence[str]) -> dict[str, Any]:
        """`boundary_f`: `mean`, `per_class` and the `ratio` of the diagonal."""
        recall = by_class(class_names, self.matched[0], self.pixels[0])
        precision = by_class(class_names, self.matched[1], self.pixels[1])
        per_class = {name: _f_score(precision[name], recall[name]) for name in class_names}
        mean = mean_of_known(per_class)
        return {"boundary_f": {"mean": mean, "per_class": per_class, "ratio": self.ratio}}


def _around(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest box that holds all of it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _f_score(precision: float | None, recall: float | None) -> float | None:
    """None where neither map has a contour of the class; 0 where one of them has none."""
    if precision is None and recall is None:
        return None
    if not precision or not recall:
        return 0.0
    return 2 * precision * recall / (precision + recall)
