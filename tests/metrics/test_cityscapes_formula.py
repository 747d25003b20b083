"""IoU as the Cityscapes benchmark defines it, worked out from its description.

For every evaluated class: true positives, false negatives (pixels of the class that got another
label) and false positives (pixels of another evaluated class that got this label; ignored pixels
are no false positives). IoU = TP / (TP + FP + FN), undefined without any of them; the score is the
mean of the defined ones, over all images together. The numbers of the last test were also given by
the benchmark's own script (cityscapesscripts 2.3.0), with road, sidewalk and building.
"""

import numpy as np
import pytest
from answers import random_answer

from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.scores import scores_from_confusion


def by_description(
    pairs: list[tuple[np.ndarray, np.ndarray]], num_classes: int
) -> list[float | None]:
    ious: list[float | None] = []
    for k in range(num_classes):
        true_positives = sum(int(((t == k) & (p == k)).sum()) for t, p in pairs)
        false_negatives = sum(int(((t == k) & (p != k)).sum()) for t, p in pairs)
        false_positives = sum(int(((t != k) & (t != 255) & (p == k)).sum()) for t, p in pairs)
        union = true_positives + false_negatives + false_positives
        ious.append(true_positives / union if union else None)
    return ious


@pytest.mark.parametrize("num_classes", [3, 19])
def test_random_maps(num_classes: int) -> None:
    images = [random_answer(seed, num_classes, (40, 50)) for seed in range(4)]
    pairs = [(image.target, image.preds) for image in images]
    expected = by_description(pairs, num_classes + 1)  # one class that nobody has
    total = np.sum([confusion_matrix(t, p, num_classes + 1) for t, p in pairs], axis=0)
    scores = scores_from_confusion(total)
    assert scores.iou_per_class == pytest.approx(tuple(expected))
    assert scores.iou_per_class[-1] is None
    assert scores.miou == pytest.approx(np.mean([iou for iou in expected if iou is not None]))


def test_golden_example() -> None:
    target = np.array([[0, 0, 0, 1], [0, 2, 1, 1], [2, 2, 255, 255]], np.uint8)
    preds = np.array([[0, 0, 1, 1], [0, 2, 1, 2], [2, 0, 0, 1]], np.uint8)
    scores = scores_from_confusion(confusion_matrix(target, preds, 3), num_ignored=2)
    # road 3 / (3 + 1 + 1), sidewalk 2 / (2 + 1 + 1), building 2 / (2 + 1 + 1)
    assert scores.iou_per_class == pytest.approx((0.6, 0.5, 0.5))
    assert scores.miou == pytest.approx(1.6 / 3)
