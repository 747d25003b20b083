"""Intervals against numbers worked out by hand, and against brute force."""

import numpy as np
import pytest

from camvid_study.intervals import (
    T_975,
    Interval,
    draw_blocks,
    iou,
    over_groups,
    over_images,
    over_seeds,
)


def test_students_interval_by_hand():
    # Mean 2, deviations -1, 0, 1: s = 1; with 2 degrees of freedom half is 4.303 * 1 / sqrt(3).
    interval = over_seeds([1.0, 2.0, 3.0])

    assert interval.value == 2.0
    assert interval.high == pytest.approx(2 + 4.303 / 3**0.5)
    assert interval.low == pytest.approx(2 - 4.303 / 3**0.5)
    assert not interval.is_clear


def test_the_mean_of_groups_by_hand():
    # Means 2 and 6, variances of the means 1/3 and 16/3: their sum 17/3 has
    # (17/3)^2 / ((1/3)^2 / 2 + (16/3)^2 / 2) = 2.2, so 2 degrees of freedom.
    interval = over_groups([[1.0, 2.0, 3.0], [2.0, 6.0, 10.0]])

    half = 4.303 * (17 / 3) ** 0.5 / 2
    assert interval.value == 4.0
    assert (interval.low, interval.high) == pytest.approx((4 - half, 4 + half))


def test_groups_of_equal_spread_add_their_degrees_of_freedom():
    interval = over_groups([[1.0, 2.0, 3.0], [5.0, 6.0, 7.0], [0.0, 1.0, 2.0]])

    assert interval.value == pytest.approx(3.0)  # the mean of 2, 6 and 1
    assert interval.high == pytest.approx(3 + T_975[6 - 1] * (3 * 1 / 3) ** 0.5 / 3)


def test_a_group_of_more_values_counts_no_more():
    assert over_groups([[1.0, 3.0], [8.0, 8.0, 8.0, 8.0]]).value == 5.0


def test_welchs_degrees_of_freedom_are_scipys():
    stats = pytest.importorskip("scipy.stats")
    a, b = [0.1, 0.4, 0.3, 0.9], [-0.2, 0.0, 0.5]

    mine = over_groups([a, [-value for value in b]])  # half of mean(a) - mean(b)

    theirs = stats.ttest_ind(a, b, equal_var=False)
    quantile, rounded = stats.t.ppf(0.975, theirs.df), T_975[int(theirs.df) - 1]
    half = (theirs.confidence_interval(0.95).high - (sum(a) / 4 - sum(b) / 3)) / quantile
    assert mine.high == pytest.approx(mine.value + rounded * half / 2, abs=1e-9)


def test_one_group_has_the_interval_of_its_seeds():
    values = [0.3, 0.1, 0.6]

    one, seeds = over_groups([values]), over_seeds(values)

    assert (one.value, one.low, one.high) == pytest.approx((seeds.value, seeds.low, seeds.high))


def test_groups_without_spread_have_no_width():
    assert over_groups([[1.0, 1.0], [3.0, 3.0]]) == Interval(2.0, 2.0, 2.0)


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
