"""Recall of small, medium and large objects."""

import numpy as np
import pytest
from answers import answer, names, random_answer

from dualseg.metrics.object_sizes import ObjectSizes


def sizes(*images: object, limits: tuple[int, int], num_classes: int = 2) -> dict:
    collector = ObjectSizes(num_classes, limits=limits)
    for image in images:
        collector.add(image)  # type: ignore[arg-type]
    return collector.result(names(num_classes))["object_sizes"]


TARGET = [
    [1, 1, 0, 0, 0, 0],
    [0, 0, 1, 0, 0, 255],
    [0, 0, 0, 0, 1, 255],
]
PREDS = [
    [1, 0, 0, 0, 0, 0],
    [0, 0, 1, 0, 0, 1],
    [0, 0, 0, 0, 0, 1],
]


def test_hand_worked_objects() -> None:
    # Class 1: three pixels joined over a corner, two of them right, and one pixel, missed.
    # Class 0: everything else, 12 pixels in one piece, all right.
    result = sizes(answer(TARGET, PREDS, 2), limits=(2, 10))
    assert result["small"] == {
        "num_objects": 1,
        "num_pixels": 1,
        "recall": 0.0,
        "found": 0.0,
        "recall_per_class": {"class_0": None, "class_1": 0.0},
    }
    assert (result["medium"]["num_objects"], result["medium"]["num_pixels"]) == (1, 3)
    assert result["medium"]["recall"] == pytest.approx(2 / 3)
    assert result["medium"]["found"] == 1.0
    assert (result["large"]["num_pixels"], result["large"]["recall"]) == (12, 1.0)


def test_limits_are_cocos_and_belong_to_the_larger_size() -> None:
    target = np.zeros((100, 200))
    target[:32, :32] = 1  # 1024 pixels
    target[:31, 100:133] = 1  # 1023 pixels
    result = ObjectSizes(2)
    result.add(answer(target, target, 2))
    found = result.result(names(2))["object_sizes"]
    assert found["limits"] == [1024, 9216]
    assert [found[size]["num_objects"] for size in ("small", "medium", "large")] == [1, 1, 1]


def test_sizes_together_have_every_labelled_pixel() -> None:
    images = [random_answer(seed, 4) for seed in range(3)]
    result = sizes(*images, limits=(20, 60), num_classes=4)
    pixels = sum(result[size]["num_pixels"] for size in ("small", "medium", "large"))
    right = sum(
        result[size]["num_pixels"] * result[size]["recall"] for size in ("small", "medium", "large")
    )
    assert pixels == sum(image.confusion.sum() for image in images)
    assert right == pytest.approx(sum(np.trace(image.confusion) for image in images))


def test_a_size_nobody_has_is_null() -> None:
    result = sizes(answer([[0]], [[0]], 2), limits=(2, 10))
    assert (result["large"]["recall"], result["large"]["found"]) == (None, None)


def test_shares_add_up() -> None:
    alone, parts = ObjectSizes(4), [ObjectSizes(4), ObjectSizes(4)]
    for seed in range(5):
        alone.add(random_answer(seed, 4))
        parts[seed % 2].add(random_answer(seed, 4))
    parts[0].merge(parts[1])
    assert parts[0].result(names(4)) == alone.result(names(4))
