"""Scores worked out by hand, and against a second implementation that loops over pixels."""

from collections.abc import Sequence

import numpy as np
import pytest

from dualseg.core.errors import InputError
from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.scores import miou_of_image, scores_from_confusion


def counts(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


def test_hand_worked_scores_with_ignored_pixels() -> None:
    # target 0 0 1   preds 0 1 1   -> pairs 00, 01, 11, 10; two pixels ignored
    #        1 . .         0 0 1
    target = np.array([[0, 0, 1], [1, 255, 255]], dtype=np.uint8)
    preds = np.array([[0, 1, 1], [0, 0, 1]], dtype=np.uint8)
    scores = scores_from_confusion(confusion_matrix(target, preds, 2), num_ignored=2)
    # Each class: 1 right, 1 missed, 1 wrongly claimed -> 1/3.
    assert scores.iou_per_class == pytest.approx((1 / 3, 1 / 3))
    assert scores.miou == pytest.approx(1 / 3)
    assert scores.pixel_accuracy == 0.5
    assert scores.class_accuracy == 0.5
    assert scores.fwiou == pytest.approx(1 / 3)
    assert scores.ignored_share == pytest.approx(2 / 6)
    assert scores.pixels_per_class == (2, 2)


def test_uneven_classes_tell_the_four_scores_apart() -> None:
    scores = scores_from_confusion(counts([6, 2], [1, 1]))
    # IoU: 6/9 and 1/4.
    assert scores.iou_per_class == pytest.approx((6 / 9, 1 / 4))
    assert scores.miou == pytest.approx((6 / 9 + 1 / 4) / 2)
    assert scores.pixel_accuracy == pytest.approx(7 / 10)
    assert scores.class_accuracy == pytest.approx((6 / 8 + 1 / 2) / 2)
    assert scores.fwiou == pytest.approx(0.8 * 6 / 9 + 0.2 * 1 / 4)


def test_class_in_neither_truth_nor_prediction_has_no_iou() -> None:
    scores = scores_from_confusion(counts([3, 1, 0], [0, 4, 0], [0, 0, 0]))
    assert scores.iou_per_class == (3 / 4, 4 / 5, None)
    assert scores.miou == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert scores.classes_without_pixels == (2,)


def test_class_predicted_but_not_in_truth_counts_as_zero() -> None:
    scores = scores_from_confusion(counts([3, 0, 1], [0, 4, 0], [0, 0, 0]))
    assert scores.iou_per_class == (3 / 4, 1.0, 0.0)
    assert scores.miou == pytest.approx((3 / 4 + 1 + 0) / 3)
    assert scores.class_accuracy == pytest.approx((3 / 4 + 1) / 2)
    assert scores.classes_without_pixels == (2,)


def test_perfect_prediction() -> None:
    scores = scores_from_confusion(counts([5, 0], [0, 1]))
    assert (scores.miou, scores.pixel_accuracy, scores.class_accuracy, scores.fwiou) == (1, 1, 1, 1)


def test_everything_wrong() -> None:
    scores = scores_from_confusion(counts([0, 5], [1, 0]))
    assert (scores.miou, scores.pixel_accuracy, scores.class_accuracy, scores.fwiou) == (0, 0, 0, 0)


def test_nothing_to_score_is_an_input_error() -> None:
    with pytest.raises(InputError, match="all 12 pixels are ignored"):
        scores_from_confusion(counts([0, 0], [0, 0]), num_ignored=12)


def test_counts_beyond_float32_stay_exact() -> None:
    many = 2**40
    scores = scores_from_confusion(counts([many, 1], [0, many]))
    assert scores.pixels_per_class == (many + 1, many)
    assert scores.pixel_accuracy < 1.0


def test_image_score_leaves_out_classes_that_are_not_in_its_truth() -> None:
    # Class 2 is predicted once but absent: it lowers class 0's IoU only.
    assert miou_of_image(counts([3, 0, 1], [0, 4, 0], [0, 0, 0])) == pytest.approx((3 / 4 + 1) / 2)


def test_image_without_labels_has_no_score() -> None:
    assert miou_of_image(counts([0, 0], [0, 0])) is None


def pixel_by_pixel(target: np.ndarray, preds: np.ndarray, num_classes: int) -> Sequence[float]:
    """mIoU, pixel accuracy, class accuracy, fwIoU as sets of pixels, without any matrix."""
    valid = {p for p in np.ndindex(*target.shape) if target[p] != 255}
    ious, recalls, weighted = [], [], 0.0
    for k in range(num_classes):
        true = {p for p in valid if target[p] == k}
        claimed = {p for p in valid if preds[p] == k}
        if true | claimed:
            ious.append(len(true & claimed) / len(true | claimed))
        if true:
            recalls.append(len(true & claimed) / len(true))
            weighted += len(true) / len(valid) * ious[-1]
    right = sum(target[p] == preds[p] for p in valid) / len(valid)
    return [sum(ious) / len(ious), right, sum(recalls) / len(recalls), weighted]


@pytest.mark.parametrize("seed", range(20))
def test_scores_equal_a_second_implementation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.choice(np.array([0, 1, 2, 255], dtype=np.uint8), (6, 5), p=[0.6, 0.2, 0.1, 0.1])
    preds = rng.integers(0, 5, (6, 5), dtype=np.uint8)
    scores = scores_from_confusion(confusion_matrix(target, preds, 6))
    ours = [scores.miou, scores.pixel_accuracy, scores.class_accuracy, scores.fwiou]
    assert ours == pytest.approx(pixel_by_pixel(target, preds, 6))
