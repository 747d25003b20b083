import pytest

from dualseg.training.schedules import lr_factor


def test_poly_falls_from_one_to_almost_zero():
    # (1 - t/4)^2 for t = 0..3: 1, 9/16, 4/16, 1/16
    factors = [lr_factor(step, max_steps=4, power=2.0) for step in range(4)]
    assert factors == pytest.approx([1, 9 / 16, 4 / 16, 1 / 16])


def test_poly_with_the_usual_power():
    assert lr_factor(50, max_steps=100) == pytest.approx(0.5358867)  # 0.5 ** 0.9


def test_warm_up_is_a_straight_line_that_meets_the_polynomial():
    # from 0.2 to 1 in two steps: 0.2, 0.6; then (1 - t/2)^1 over the two that remain: 1, 0.5
    factors = [
        lr_factor(step, max_steps=4, power=1.0, warmup_steps=2, warmup_factor=0.2)
        for step in range(4)
    ]
    assert factors == pytest.approx([0.2, 0.6, 1.0, 0.5])


def test_constant_stays_after_its_warm_up():
    factors = [
        lr_factor(step, max_steps=4, schedule="constant", warmup_steps=1, warmup_factor=0.5)
        for step in range(4)
    ]
    assert factors == [0.5, 1, 1, 1]


def test_a_run_that_is_all_warm_up_never_divides_by_zero():
    factors = [lr_factor(step, max_steps=2, warmup_steps=2, warmup_factor=0.5) for step in range(2)]
    assert factors == [0.5, 0.75]
