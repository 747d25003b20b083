"""IoU of rims, by hand and against masks eroded one class at a time."""

import numpy as np
import pytest
from answers import answer, names, random_answer
from numpy.typing import NDArray

from dualseg.metrics.boundary_iou import BoundaryIou, near_other


def test_rim_of_a_square_in_a_large_image() -> None:
    label_map = np.zeros((20, 20), np.uint8)
    label_map[5:15, 5:15] = 1
    rim = near_other(label_map, 2)
    inside = np.zeros_like(rim)
    inside[7:13, 7:13] = True
    assert np.array_equal(rim & (label_map == 1), (label_map == 1) & ~inside)
    assert rim[0].all()  # the border of the image is a rim
    assert rim[3, 10]
    assert not rim[2, 10]  # three rows from the square, two from the border


def test_hand_worked_ratio() -> None:
    # 10 x 10, distance 1. Truth: columns 0-4 are class 0, prediction: columns 0-5.
    target, preds = np.zeros((10, 10)), np.zeros((10, 10))
    target[:, 5:], preds[:, 6:] = 1, 1
    score = BoundaryIou(2, ratio=0.05)
    score.add(answer(target, preds, 2))
    result = score.result(names(2))["boundary_iou"]
    # Rims: the frame of a 10 x 5, 10 x 6 and 10 x 4 rectangle: 26, 28 and 24 pixels.
    # Class 0 shares its left column and rows 0 and 9 of columns 1-4: 10 + 8 = 18.
    # Class 1: right column and rows 0 and 9 of columns 6-8: 10 + 6 = 16.
    assert result["per_class"] == pytest.approx(
        {"class_0": 18 / (26 + 28 - 18), "class_1": 16 / (26 + 24 - 16)}
    )
    assert result["mean"] == pytest.approx((18 / 36 + 16 / 34) / 2)
    assert result["ratio"] == 0.05


def mask_rim(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Erodes a mask in a frame of nothing `width` times by one pixel; what is lost is the rim."""
    inner = np.pad(mask, 1)
    for _ in range(width):
        neighbours = [
            np.roll(np.roll(inner, rows, 0), columns, 1)
            for rows in (-1, 0, 1)
            for columns in (-1, 0, 1)
        ]
        inner = np.logical_and.reduce(neighbours)
        inner[0], inner[-1], inner[:, 0], inner[:, -1] = False, False, False, False
    return mask & ~inner[1:-1, 1:-1]


@pytest.mark.parametrize("ignored", [0.0, 0.05])
@pytest.mark.parametrize("ratio", [0.02, 0.06])
def test_equals_masks_eroded_step_by_step(ignored: float, ratio: float) -> None:
    images = [random_answer(seed, 4, ignored=ignored) for seed in range(3)]
    score, both, either = BoundaryIou(4, ratio=ratio), np.zeros(4), np.zeros(4)
    for image in images:
        score.add(image)
        width = max(1, round(ratio * np.hypot(*image.target.shape)))
        valid = image.target != 255
        for k in range(4):
            truth = mask_rim((image.target == k) & valid, width)
            preds = mask_rim((image.preds == k) & valid, width)
            both[k] += (truth & preds).sum()
            either[k] += (truth | preds).sum()
    result = score.result(names(4))["boundary_iou"]["per_class"]
    assert list(result.values()) == pytest.approx(list(both / either))


def test_perfect_worst_and_missing_class() -> None:
    target = np.zeros((8, 8))
    target[:, 4:] = 1
    perfect, worst = BoundaryIou(3), BoundaryIou(3)
    perfect.add(answer(target, target, 3))
    worst.add(answer(target, 1 - target, 3))
    assert perfect.result(names(3))["boundary_iou"]["per_class"] == {
        "class_0": 1.0,
        "class_1": 1.0,
        "class_2": None,
    }
    assert perfect.result(names(3))["boundary_iou"]["mean"] == 1.0
    assert worst.result(names(3))["boundary_iou"]["mean"] == 0.0


def test_shares_add_up() -> None:
    alone, parts = BoundaryIou(4), [BoundaryIou(4), BoundaryIou(4)]
    for seed in range(5):
        alone.add(random_answer(seed, 4))
        parts[seed % 2].add(random_answer(seed, 4))
    parts[0].merge(parts[1])
    assert parts[0].result(names(4)) == alone.result(names(4))
