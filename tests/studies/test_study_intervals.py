"""Intervals against numbers worked out by hand, and against brute force."""

import numpy as np
import pytest

from camvid_study.intervals import T_975, draw_blocks, iou, over_images, over_seeds


def test_students_interval_by_hand():
    # Mean 2, deviations -1, 0, 1: s = 1; with 2 degrees of freedom half is 4.303 * 1 / sqrt(3).
    interval = over_seeds([1.0, 2.0, 3.0])

    assert interval.value == 2.0
    assert interval.high == pytest.approx(2 + 4.303 / 3**0.5)
    assert interval.low == pytest.approx(2 - 4.303 / 3**0.5)
    assert not interval.is_clear


def test_one_seed_has_no_interval():
    interval = over_seeds([0.5])

    assert (interval.value, interval.low, interval.high) == (0.5, None, None)
    assert not interval.is_clear


def test_the_table_of_student_is_scipys():
    stats = pytest.importorskip("scipy.stats")

    found = [stats.t.ppf(0.975, degrees) for degrees in range(1, len(T_975) + 1)]

    assert pytest.approx(found, abs=5e-4) == T_975


def test_iou_by_hand_where_one_class_is_nowhere():
    # Class 0: 3 right, truth 4, predicted 5: 3 / 6. Class 1: nowhere.
    assert iou(np.array([[3, 0], [4, 0], [5, 0]])).tolist()[0] == 0.5
    assert np.isnan(iou(np.array([[3, 0], [4, 0], [5, 0]]))[1])
    # Rims: 2 in both, 8 in either.
    assert iou(np.array([[2], [8]])).tolist() == [0.25]


def test_blocks_are_neighbours_and_the_first_follows_the_last():
    times = draw_blocks(6, block=3, resamples=500, seed=0)

    assert (times.sum(axis=1) == 6).all()
    rings = {tuple(np.roll([1, 1, 1, 0, 0, 0], shift)) for shift in range(6)}
    pairs = {tuple(np.add(a, b)) for a in rings for b in rings}
    assert {tuple(row) for row in times.tolist()} <= pairs


def test_block_one_is_the_ordinary_bootstrap():
    times = draw_blocks(4, block=1, resamples=2000, seed=1)

    assert times.mean(axis=0) == pytest.approx(np.ones(4), abs=0.1)
    assert times.var(axis=0) == pytest.approx(np.full(4, 0.75), abs=0.1)  # binomial: 4 * 1/4 * 3/4


def test_a_gain_that_is_the_same_on_every_image_has_no_width():
    # One class, 10 pixels an image: 8 right of 10 against 5 right of 10, everywhere.
    run = np.tile(np.array([[8], [10], [8]]), (12, 1, 1))  # IoU 8 / 10
    baseline = np.tile(np.array([[5], [10], [5]]), (12, 1, 1))  # IoU 5 / 10

    interval = over_images([run, run], [baseline, baseline], resamples=50)

    assert (interval.value, interval.low, interval.high) == pytest.approx((0.3, 0.3, 0.3))


def test_the_same_images_are_drawn_for_run_and_baseline():
    random = np.random.default_rng(0)
    truth = random.integers(50, 90, (20, 1, 3))
    right = (truth * random.uniform(0.3, 0.9, (20, 1, 1))).astype(int)
    counts = np.concatenate([right, truth, truth], axis=1)

    interval = over_images([counts], [counts], resamples=100)

    assert (interval.value, interval.low, interval.high) == (0, 0, 0)


def test_blocks_widen_the_interval_where_neighbours_are_alike():
    # The first half gains 4 of 10 pixels, the second half loses 2.
    gains = np.repeat([4, -2], 20)
    base = np.stack([np.full(40, 5), np.full(40, 10), np.full(40, 5)], axis=1)[..., None]
    run = base + np.stack([gains, 0 * gains, gains], axis=1)[..., None]

    single = over_images([run], [base], block=1, resamples=500)
    blocks = over_images([run], [base], block=10, resamples=500)

    assert single.value == blocks.value
    assert single.low is not None
    assert single.high is not None
    assert blocks.low is not None
    assert blocks.high is not None
    assert blocks.high - blocks.low > 2 * (single.high - single.low)
