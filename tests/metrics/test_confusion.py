"""Counts on maps small enough to count by eye."""

import numpy as np
import pytest

from dualseg.core.errors import InputError
from dualseg.metrics.confusion import confusion_matrix


def label_map(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.uint8)


def test_rows_are_truth_and_columns_are_predictions() -> None:
    target, preds = label_map([0, 0], [1, 1]), label_map([0, 1], [1, 1])
    assert confusion_matrix(target, preds, 2).tolist() == [[1, 1], [0, 2]]


def test_ignored_pixels_are_not_counted() -> None:
    target, preds = label_map([0, 255], [255, 1]), label_map([0, 1], [0, 0])
    assert confusion_matrix(target, preds, 2).tolist() == [[1, 0], [1, 0]]


def test_counts_are_int64_and_add_up_over_images() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 4, (3, 7, 5), dtype=np.uint8)
    preds = rng.integers(0, 4, (3, 7, 5), dtype=np.uint8)
    parts = [confusion_matrix(t, p, 4) for t, p in zip(targets, preds, strict=True)]
    together = confusion_matrix(targets.reshape(21, 5), preds.reshape(21, 5), 4)
    assert together.dtype == np.int64
    assert np.array_equal(sum(parts), together)


def test_largest_possible_number_of_classes() -> None:
    target = preds = np.arange(255, dtype=np.uint8).reshape(15, 17)
    assert np.array_equal(confusion_matrix(target, preds, 255), np.eye(255, dtype=np.int64))


def test_empty_map_counts_nothing() -> None:
    empty = np.zeros((0, 4), dtype=np.uint8)
    assert confusion_matrix(empty, empty, 2).tolist() == [[0, 0], [0, 0]]


def test_unknown_label_is_refused_with_value_and_count() -> None:
    target, preds = label_map([0, 7], [7, 9]), label_map([0, 0], [0, 0])
    with pytest.raises(
        InputError, match=r"label map .* 7 \(2 pixels\), 9 \(1 pixels\); allowed are 0 to 1 and 255"
    ):
        confusion_matrix(target, preds, 2)


def test_unknown_prediction_is_refused_even_where_the_label_is_ignored() -> None:
    target, preds = label_map([255, 0]), label_map([255, 0])
    with pytest.raises(InputError, match=r"prediction .* 255 \(1 pixels\); allowed are 0 to 1$"):
        confusion_matrix(target, preds, 2)


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match=r"\(1, 2\) and prediction of shape \(2, 1\)"):
        confusion_matrix(label_map([0, 0]), label_map([0], [0]), 2)


def test_only_bytes_are_counted() -> None:
    target = np.zeros((1, 2), dtype=np.int64)
    with pytest.raises(InputError, match="int64"):
        confusion_matrix(target, target, 2)  # type: ignore[arg-type]
