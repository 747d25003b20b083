"""Differences between two runs on the same images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dualseg.visual.paired import (
    PairedDifference,
    image_gains,
    paired_difference_over_images,
    signed,
)
from dualseg.visual.run_files import StoredEvaluation, read_evaluation

MakeRun = Callable[..., Path]


def stored(run: Path) -> StoredEvaluation:
    evaluation = read_evaluation(run)
    assert evaluation
    return evaluation


def difference(make_run: MakeRun, first: dict, second: dict) -> PairedDifference | None:
    before, after = stored(make_run("a", **first)), stored(make_run("b", **second))
    return paired_difference_over_images(after, before)


def test_equal_gains_leave_no_doubt(make_run: MakeRun) -> None:
    # Every image gains 0.1, so every resample does, however unlike the images are.
    found = difference(make_run, {"mious": (0.1, 0.5, 0.6, 0.9)}, {"mious": (0.2, 0.6, 0.7, 1.0)})
    assert found
    assert (found.low, found.value, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert (found.measure, found.num_images) == ("mIoU per image", 4)
    assert found.is_clear


def test_interval_of_image_means_is_scipys(make_run: MakeRun) -> None:
    stats = pytest.importorskip("scipy.stats")
    gains = np.array([0.02, -0.05, 0.11, 0.3])
    found = difference(make_run, {"mious": (0.4,) * 4}, {"mious": tuple(0.4 + gains)})
    reference = stats.bootstrap(
        (gains,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found
    assert found.value == pytest.approx(0.095)
    assert (found.low, found.high) == pytest.approx(tuple(reference), abs=0.006)


def test_shared_resamples_give_the_difference_of_the_miou_itself(make_run: MakeRun) -> None:
    # wrong=8: (384 / 576 + 576 / 768) / 2; wrong=0: 1. Differences of the resamples: 0.1 and 0.3.
    found = difference(make_run, {"resampled": (0.5, 0.5)}, {"wrong": 0, "resampled": (0.6, 0.8)})
    assert found
    assert found.measure == "mIoU"
    assert found.value == pytest.approx(1 - (384 / 576 + 576 / 768) / 2)
    # The 2.5 % and 97.5 % quantiles between 0.1 and 0.3.
    assert (found.low, found.high) == pytest.approx((0.105, 0.295))


def test_other_resamples_are_not_paired(make_run: MakeRun) -> None:
    found = difference(make_run, {"resampled": (0.5, 0.5)}, {"resampled": (0.6, 0.8, 0.9)})
    assert found
    assert found.measure == "mIoU per image"


def test_images_without_a_score_are_left_out(make_run: MakeRun) -> None:
    found = difference(make_run, {"mious": (0.1, None, 0.2, 0.3)}, {"mious": (0.2, 0.9, None, 0.4)})
    assert found
    assert found.num_images == 2
    assert found.value == pytest.approx(0.1)


def test_other_images_give_no_difference(make_run: MakeRun) -> None:
    run, other = make_run("a"), make_run("b")
    path = other / "evaluation" / "evaluation.json"
    path.write_text(path.read_text().replace('["image_3"', '["image_9"'))
    assert paired_difference_over_images(stored(other), stored(run)) is None
    assert set(image_gains(stored(other), stored(run))) == {"image_0", "image_1", "image_2"}


def test_other_truth_gives_no_difference(make_run: MakeRun) -> None:
    run, other = make_run("a"), make_run("b")
    path = other / "evaluation" / "evaluation.json"
    path.write_text(
        path.read_text().replace('"pixels_per_class": [384,', '"pixels_per_class": [9,')
    )
    assert paired_difference_over_images(stored(other), stored(run)) is None


def test_an_interval_that_rounds_to_zero_is_not_clear() -> None:
    assert not PairedDifference(-0.004, -0.009, -0.0003, "mIoU", 40).is_clear
    assert PairedDifference(-0.004, -0.009, -0.0006, "mIoU", 40).is_clear
    assert str(PairedDifference(0.01, -0.0001, 0.02, "mIoU", 40)) == "+0.010 (0.000 to +0.020)"
    assert signed(-0.25) == "−0.250"
