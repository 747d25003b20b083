"""Scores by the distance from a boundary."""

import numpy as np
import pytest
from answers import answer, names, random_answer

from dualseg.metrics.scores import scores_from_confusion
from dualseg.metrics.trimap import Trimap

# Columns at distances 2 1 0 0 1 2 3 from the one boundary.
TARGET = [[0, 0, 0, 1, 1, 1, 1]]
PREDS = [[1, 0, 1, 1, 0, 1, 1]]


def trimap(*images: object, num_classes: int = 2, **options: object) -> dict:
    collector = Trimap(num_classes, **options)  # type: ignore[arg-type]
    for image in images:
        collector.add(image)  # type: ignore[arg-type]
    return collector.result(names(num_classes))["trimap"]


def test_a_picture_of_one_class_has_no_boundary_and_lies_in_the_last_band() -> None:
    bands = trimap(answer([[0, 0]], [[0, 1]], 2))["bands"]
    assert [band["pixels"] for band in bands] == [0, 0, 0, 0, 2]
    assert (bands[0]["pixel_accuracy"], bands[0]["miou"]) == (None, None)
    assert bands[-1]["pixel_accuracy"] == 0.5


def test_hand_worked_bands() -> None:
    near, middle, far = trimap(answer(TARGET, PREDS, 2), limits=(1, 2))["bands"]

    # At 0: class 0 taken for 1, class 1 right. IoU 0 and 1/2.
    assert near == {"from": 0, "to": 1, "pixels": 2, "pixel_accuracy": 0.5, "miou": 0.25}
    # At 1: class 0 right, class 1 taken for 0. IoU 1/2 and 0.
    assert middle == {"from": 1, "to": 2, "pixels": 2, "pixel_accuracy": 0.5, "miou": 0.25}
    # At 2 and 3: class 0 taken for 1, class 1 right twice. IoU 0 and 2/3.
    assert (far["from"], far["to"], far["pixels"]) == (2, None, 3)
    assert far["pixel_accuracy"] == pytest.approx(2 / 3)
    assert far["miou"] == pytest.approx(1 / 3)


def test_within_adds_the_bands_up() -> None:
    first, second = trimap(answer(TARGET, PREDS, 2), limits=(1, 2))["within"]

    assert (first["to"], first["pixels"], first["miou"]) == (1, 2, 0.25)
    assert (second["to"], second["pixels"], second["pixel_accuracy"]) == (2, 4, 0.5)
    assert second["miou"] == pytest.approx(1 / 3)  # 1/3 each


def test_ignored_pixels_bound_and_do_not_count() -> None:
    bands = trimap(answer([[0, 0, 0, 255]], [[0, 0, 1, 1]], 2), limits=(1, 2))["bands"]
    assert [(band["pixels"], band["pixel_accuracy"]) for band in bands] == [
        (1, 0.0),
        (1, 1.0),
        (1, 1.0),
    ]


def test_bands_together_are_the_whole_image() -> None:
    images = [random_answer(seed, 4) for seed in range(3)]
    collector = Trimap(4)
    for image in images:
        collector.add(image)
    whole = sum(image.confusion for image in images)
    assert (collector.confusions.sum(axis=0) == whole).all()

    everywhere = trimap(*images, num_classes=4, limits=(1000,))["bands"][0]
    assert everywhere["miou"] == scores_from_confusion(np.asarray(whole)).miou


def test_shares_add_up() -> None:
    alone, parts = Trimap(4), [Trimap(4), Trimap(4)]
    for seed in range(5):
        alone.add(random_answer(seed, 4))
        parts[seed % 2].add(random_answer(seed, 4))
    parts[0].merge(parts[1])
    assert parts[0].result(names(4)) == alone.result(names(4))
