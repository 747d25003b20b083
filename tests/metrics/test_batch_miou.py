"""The mean over batches, which depends on the batch."""

import numpy as np
import pytest
from answers import answer, names, random_answer

from dualseg.metrics.batch_miou import BatchMiou
from dualseg.metrics.scores import scores_from_confusion


def per_batch(images: list, batch_size: int) -> float:
    collector = BatchMiou(4, batch_size=batch_size)
    for image in images:
        collector.add(image)
    result = collector.result(names(4))["miou_per_batch"]
    assert result["batch_size"] == batch_size
    return result["value"]


def test_hand_worked_batches_of_two_and_a_rest() -> None:
    images = [
        answer([[0, 0]], [[0, 1]], 4, index=0),
        answer([[1, 1]], [[1, 1]], 4, index=1),
        answer([[2, 2]], [[2, 2]], 4, index=2),
    ]
    # First batch: class 0 is 1/2, class 1 is 2/3; second: class 2 is 1.
    assert per_batch(images, 2) == pytest.approx(((1 / 2 + 2 / 3) / 2 + 1) / 2)


def test_one_batch_of_all_is_the_data_sets_miou() -> None:
    images = [random_answer(seed, 4) for seed in range(5)]
    whole = scores_from_confusion(np.sum([image.confusion for image in images], axis=0)).miou
    assert per_batch(images, 5) == pytest.approx(whole)
    assert per_batch(images, 2) != pytest.approx(whole, abs=1e-6)


def test_batches_split_between_processes_are_put_together() -> None:
    images = [random_answer(seed, 4) for seed in range(7)]
    parts = [BatchMiou(4, batch_size=4) for _ in range(3)]
    for image in images:
        parts[image.index % 3].add(image)
    parts[0].merge(parts[1])
    parts[0].merge(parts[2])
    assert parts[0].result(names(4))["miou_per_batch"]["value"] == per_batch(images, 4)


def test_a_batch_without_labels_is_left_out() -> None:
    images = [answer([[0]], [[0]], 4, index=0), answer([[255]], [[0]], 4, index=1)]
    assert per_batch(images, 1) == 1.0
