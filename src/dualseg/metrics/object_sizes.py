"""How much of small, medium and large objects is found."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from dualseg.metrics.collector import ScoredImage, by_class

SMALL, LARGE = 32**2, 96**2
"""COCO's limits: an object is small below the first area, large from the second on."""

SIZES = ("small", "medium", "large")


class ObjectSizes:
    """Recall by size of the objects in the ground truth.

    An object is a connected piece (also over corners) of one class, whatever it is called: ids do
    not tell touching objects apart. Its size is its number of pixels. There is no precision by
    size, because a wrong pixel belongs to no object.

    Args:
        num_classes: K.
        limits: Areas at which objects become medium and large.

    Source: the areas of COCO's detection scores (Lin et al. 2014).
    """

    def __init__(self, num_classes: int, *, limits: tuple[int, int] = (SMALL, LARGE)):
        self.limits = limits
        shape = len(SIZES), num_classes
        self.objects = np.zeros(shape, np.int64)
        self.found = np.zeros(shape, np.int64)
        self.pixels = np.zeros(shape, np.int64)
        self.right = np.zeros(shape, np.int64)

    def add(self, image: ScoredImage) -> None:
        right = image.target == image.preds
        present = np.flatnonzero(image.confusion.sum(axis=1))
        for class_id in present:
            region = (image.target == class_id).astype(np.uint8)
            count, pieces = cv2.connectedComponents(region, connectivity=8)
            areas = np.bincount(pieces.ravel(), minlength=count)[1:]
            hits = np.bincount(pieces[right], minlength=count)[1:]
            sizes = np.digitize(areas, self.limits)
            np.add.at(self.objects[:, class_id], sizes, 1)
            np.add.at(self.found[:, class_id], sizes, (2 * hits >= areas).astype(np.int64))
            np.add.at(self.pixels[:, class_id], sizes, areas)
            np.add.at(self.right[:, class_id], sizes, hits)

    def merge(self, other: "ObjectSizes") -> None:
        self.objects += other.objects
        self.found += other.found
        self.pixels += other.pixels
        self.right += other.right

    def result(self, class_names: Sequence[str]) -> dict[str, Any]:
        """`object_sizes`: for each size the objects, their pixels, the share of the pixels that is
        right (`recall`, also `recall_per_class`), and of objects at least half right (`found`).
        """
        plain: dict[str, Any] = {"limits": list(self.limits)}
        for number, size in enumerate(SIZES):
            objects, pixels = int(self.objects[number].sum()), int(self.pixels[number].sum())
            plain[size] = {
                "num_objects": objects,
                "num_pixels": pixels,
                "recall": int(self.right[number].sum()) / pixels if pixels else None,
                "found": int(self.found[number].sum()) / objects if objects else None,
                "recall_per_class": by_class(class_names, self.right[number], self.pixels[number]),
            }
        return {"object_sizes": plain}
