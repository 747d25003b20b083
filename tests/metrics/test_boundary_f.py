"""F score of contours, by hand and against every pair of contour pixels."""

import math

import numpy as np
import pytest
from answers import answer, names, random_answer

from dualseg.metrics.boundary_f import BoundaryF
from dualseg.metrics.collector import ScoredImage


def score(*images: ScoredImage, num_classes: int, ratio: float) -> dict:
    collector = BoundaryF(num_classes, ratio=ratio)
    for image in images:
        collector.add(image)
    return collector.result(names(num_classes))["boundary_f"]


def halves(column: int) -> np.ndarray:
    label_map = np.zeros((10, 20))
    label_map[:, column:] = 1
    return label_map


def test_a_shift_within_the_tolerance_is_perfect() -> None:
    # Diagonal 22.4: tolerances of 3 (0.1 rounded up) and 2 pixels.
    assert score(answer(halves(8), halves(11), 2), num_classes=2, ratio=0.1)["mean"] == 1.0
    assert score(answer(halves(8), halves(11), 2), num_classes=2, ratio=0.08)["mean"] == 0.0


def test_hand_worked_precision_and_recall() -> None:
    # Truth has one line of 10 pixels a side; half of the prediction's line is far off.
    preds = halves(8)
    preds[5:, 8:16] = 0
    result = score(answer(halves(8), preds, 2), num_classes=2, ratio=0.01)  # one pixel
    # Class 0, truth: column 7, ten pixels. Prediction: column 7 in rows 0-4, row 5 in columns 8-14,
    # column 15 in rows 5-9: 17 pixels. Within one pixel of the other are rows 0-5 of the truth's
    # line, and rows 0-4 and pixel (5, 8) of the prediction's.
    recall, precision = 6 / 10, 6 / 17
    assert result["per_class"]["class_0"] == pytest.approx(
        brute_force([answer(halves(8), preds, 2)], 2, 0.01)[0]
    )
    assert result["per_class"]["class_0"] == pytest.approx(
        2 * recall * precision / (recall + precision)
    )


def contour(label_map: np.ndarray, target: np.ndarray, class_id: int) -> list[tuple[int, int]]:
    """Pixels of a class with a valid neighbour of another class."""
    found = []
    height, width = label_map.shape
    for row, column in np.argwhere((label_map == class_id) & (target != 255)):
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            inside = 0 <= r < height and 0 <= c < width
            if inside and target[r, c] != 255 and label_map[r, c] != class_id:
                found.append((int(row), int(column)))
                break
    return found


def brute_force(images: list[ScoredImage], num_classes: int, ratio: float) -> list[float | None]:
    scores: list[float | None] = []
    for k in range(num_classes):
        matched, total = [0, 0], [0, 0]
        for image in images:
            tolerance = math.ceil(ratio * math.hypot(*image.target.shape))
            lines = [contour(m, image.target, k) for m in (image.target, image.preds)]
            for side, (mine, other) in enumerate((lines, lines[::-1])):
                total[side] += len(mine)
                matched[side] += sum(
                    any(math.dist(pixel, near) <= tolerance for near in other) for pixel in mine
                )
        if total == [0, 0]:
            scores.append(None)
            continue
        recall, precision = (m / t if t else 0.0 for m, t in zip(matched, total, strict=True))
        both = recall + precision
        scores.append(2 * recall * precision / both if both else 0.0)
    return scores


@pytest.mark.parametrize("ratio", [0.0075, 0.06])
@pytest.mark.parametrize("ignored", [0.0, 0.1])
def test_equals_a_search_over_all_pairs(ratio: float, ignored: float) -> None:
    images = [random_answer(seed, 3, (14, 17), ignored=ignored) for seed in range(3)]
    result = score(*images, num_classes=4, ratio=ratio)
    expected = brute_force(images, 4, ratio)
    assert list(result["per_class"].values()) == [pytest.approx(value) for value in expected]
    assert result["per_class"]["class_3"] is None
    assert result["mean"] == pytest.approx(np.mean([v for v in expected if v is not None]))


def test_a_map_without_contours_says_nothing() -> None:
    result = score(answer(np.zeros((5, 5)), np.zeros((5, 5)), 2), num_classes=2, ratio=0.01)
    assert result["mean"] is None


def test_ignored_neighbours_make_no_contour() -> None:
    target = np.array([[0, 255, 1]])
    result = score(answer(target, [[0, 0, 1]], 2), num_classes=2, ratio=0.01)
    assert result["mean"] is None


def test_shares_add_up() -> None:
    alone, parts = BoundaryF(4), [BoundaryF(4), BoundaryF(4)]
    for seed in range(5):
        alone.add(random_answer(seed, 4))
        parts[seed % 2].add(random_answer(seed, 4))
    parts[0].merge(parts[1])
    assert parts[0].result(names(4)) == alone.result(names(4))
