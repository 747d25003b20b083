import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import OneCycleLR

from dualseg.config import check_recipe
from dualseg.core.errors import InputError
from dualseg.training.optimization.schedules import lr_factor


def test_poly_falls_from_one_to_almost_zero():
    # (1 - t/4)^2 for t = 0..3: 1, 9/16, 4/16, 1/16
    factors = [lr_factor(step, max_steps=4, power=2.0) for step in range(4)]
    assert factors == pytest.approx([1, 9 / 16, 4 / 16, 1 / 16])


def test_poly_with_the_usual_power():
    assert lr_factor(50, max_steps=100) == pytest.approx(0.5358867)  # 0.5 ** 0.9


def test_poly_ends_at_the_final_factor():
    # 0.2 + 0.8 (1 - t/4)^2 for t = 0..3: 1, 0.2 + 0.8 * 9/16, 0.2 + 0.8 * 4/16, 0.2 + 0.8 * 1/16
    factors = [lr_factor(step, max_steps=4, power=2.0, final_factor=0.2) for step in range(4)]
    assert factors == pytest.approx([1, 0.65, 0.4, 0.25])


def test_poly_to_zero_is_the_bare_power_bit_for_bit():
    for step in range(100):
        assert lr_factor(step, max_steps=100) == (1 - step / 100) ** 0.9


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


def test_step_falls_after_every_so_many_steps():
    factors = [
        lr_factor(step, max_steps=6, schedule="step", step_every=2, step_factor=0.5)
        for step in range(6)
    ]
    assert factors == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_milestones_are_the_first_steps_of_the_lower_rate():
    factors = [
        lr_factor(step, max_steps=6, schedule="multi_step", milestones=(2, 5)) for step in range(6)
    ]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01])


def test_cosine_is_half_a_wave_down_to_the_final_factor():
    # 0.2 + 0.8 (1 + cos(pi t / 4)) / 2 for t = 0..3: cos = 1, 0.70711, 0, -0.70711
    factors = [
        lr_factor(step, max_steps=4, schedule="cosine", final_factor=0.2) for step in range(4)
    ]
    assert factors == pytest.approx([1, 0.2 + 0.8 * 0.853553, 0.6, 0.2 + 0.8 * 0.146447], abs=1e-5)


def test_cosine_follows_its_warm_up():
    factors = [
        lr_factor(step, max_steps=4, schedule="cosine", warmup_steps=2, warmup_factor=0.5)
        for step in range(4)
    ]
    assert factors == pytest.approx([0.5, 0.75, 1.0, 0.5])


@pytest.mark.parametrize(("rise", "max_steps"), [(0.3, 20), (0.5, 7)])
def test_one_cycle_is_torchs(rise, max_steps):
    weight = nn.Parameter(torch.zeros(1))
    optimizer = SGD([weight], lr=1.0)
    torchs = OneCycleLR(
        optimizer,
        max_lr=1.0,
        total_steps=max_steps,
        pct_start=rise,
        div_factor=25,
        final_div_factor=1e4,
        cycle_momentum=False,
    )
    for step in range(max_steps):
        ours = lr_factor(
            step,
            max_steps=max_steps,
            schedule="one_cycle",
            rise=rise,
            start_factor=1 / 25,
            final_factor=1 / 25e4,
        )
        assert ours == pytest.approx(torchs.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        if step < max_steps - 1:
            torchs.step()


def test_every_schedule_of_a_one_step_run_is_finite():
    for schedule in ("poly", "constant", "cosine", "one_cycle"):
        assert 0 < lr_factor(0, max_steps=1, schedule=schedule) <= 1


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"schedule": "step"}, "needs lr_step_every"),
        ({"schedule": "multi_step"}, "needs lr_milestones"),
        ({"schedule": "multi_step", "lr_milestones": [5, 3]}, "must grow"),
        ({"schedule": "one_cycle", "warmup_steps": 3}, "rises by itself"),
        ({"clip_grad_norm": 1.0, "clip_grad_value": 1.0}, "not both"),
        ({"lr_multipliers": {"backbone": 0.0}}, "belongs into freeze"),
        ({"schedule": "constant", "final_lr_factor": 0.1}, "has no effect with schedule: constant"),
        (
            {"schedule": "step", "lr_step_every": 3, "final_lr_factor": 0.1},
            "has no effect with schedule: step",
        ),
        (
            {"schedule": "multi_step", "lr_milestones": [3], "final_lr_factor": 0.1},
            "has no effect with schedule: multi_step",
        ),
        (
            {"lr_milestones": [3, 6]},
            r"lr_milestones \[3, 6\] .*\(lr_milestones=\[\]\), .*multi_step",
        ),
        ({"lr_step_every": 3}, r"leave it out \(lr_step_every=null\), or use schedule: step"),
        ({"lr_step_factor": 0.5}, "use schedule: step or multi_step"),
        ({"schedule": "cosine", "poly_power": 2.0}, r"leave it out \(poly_power=0\.9\)"),
        ({"one_cycle_rise": 0.2}, "has no effect with schedule: poly"),
        ({"one_cycle_start_factor": 0.1}, "use schedule: one_cycle"),
        ({"optimizer": "adamw", "nesterov": True}, "nesterov has no effect with optimizer: adamw"),
        ({"nesterov": True, "momentum": 0.0}, "nesterov needs a momentum above 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, reason):
    with pytest.raises(InputError, match=reason):
        check_recipe({"training": {"max_steps": 9, **settings}}, origin="x")
