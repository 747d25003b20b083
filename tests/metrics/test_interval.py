"""The interval of the mIoU over images."""

import numpy as np
import pytest
from answers import answer, names, random_answer

from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.interval import MiouInterval, mious, right_truth_predicted
from dualseg.metrics.scores import scores_from_confusion


def interval(images: list, **options: float) -> dict:
    collector = MiouInterval(4, **options)  # type: ignore[arg-type]
    for image in images:
        collector.add(image)
    return collector.result(names(4))["miou_interval"]


def test_sums_give_the_data_sets_miou() -> None:
    images = [random_answer(seed, 4) for seed in range(3)]
    sums = np.sum([right_truth_predicted(image.confusion) for image in images], axis=0)
    expected = scores_from_confusion(np.sum([image.confusion for image in images], axis=0)).miou
    assert mious(sums[None])[0] == pytest.approx(expected)


def test_classes_nobody_has_are_left_out() -> None:
    counts = right_truth_predicted(confusion_matrix(*np.zeros((2, 2, 2), np.uint8), 4))
    assert mious(counts[None]).tolist() == [1.0]


def test_agrees_with_the_plain_bootstrap() -> None:
    """Against images drawn with replacement, an independent generator and every matrix kept."""
    images = [random_answer(seed, 4, (12, 12)) for seed in range(60)]
    ours = interval(images)
    confusions = np.stack([image.confusion for image in images])
    rng = np.random.default_rng(123)
    drawn = [
        scores_from_confusion(confusions[rng.integers(0, 60, 60)].sum(axis=0)).miou
        for _ in range(1000)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    width = high - low
    assert ours["low"] == pytest.approx(low, abs=0.12 * width)
    assert ours["high"] == pytest.approx(high, abs=0.12 * width)


def test_equal_images_leave_no_doubt() -> None:
    one = answer([[0, 1], [2, 2]], [[0, 1], [2, 1]], 4)
    images = [answer(one.target, one.preds, 4, index=index) for index in range(20)]
    found = interval(images)
    expected = scores_from_confusion(one.confusion).miou
    assert (found["low"], found["high"]) == pytest.approx((expected, expected))


def test_more_images_narrow_it() -> None:
    few = interval([random_answer(seed, 4, (12, 12)) for seed in range(10)])
    many = interval([random_answer(seed, 4, (12, 12)) for seed in range(160)])
    ratio = (few["high"] - few["low"]) / (many["high"] - many["low"])
    assert 2.2 < ratio < 7  # the square root of 16 is 4


def test_the_seed_decides() -> None:
    images = [random_answer(seed, 4, (12, 12)) for seed in range(8)]
    assert interval(images) == interval(images)
    assert interval(images)["low"] != interval(images, seed=1)["low"]


def test_order_and_sharing_change_nothing() -> None:
    images = [random_answer(seed, 4) for seed in range(7)]
    parts = [MiouInterval(4), MiouInterval(4)]
    for image in reversed(images):
        parts[image.index % 2].add(image)
    parts[0].merge(parts[1])
    assert parts[0].result(names(4))["miou_interval"] == interval(images)


def test_one_image_says_nothing() -> None:
    assert interval([random_answer(0, 4)]) is None


def test_an_ignored_image_is_no_image() -> None:
    nothing = answer([[255]], [[0]], 4, index=3)
    assert interval([random_answer(0, 4), nothing]) is None
