import pytest
from tiny import tiny_recipe

from dualseg.training.optimization.warm_up import shorten_warm_ups


def shortened(max_steps: int, *, training: int, dsrl: int, enabled: bool = True):
    changes = {
        "training": {"warmup_steps": training},
        "dsrl": {"enabled": enabled, "warmup_steps": dsrl},
        "data": {"input_scale": 0.5},
    }
    told: list[str] = []
    recipe = tiny_recipe(changes)
    return recipe, shorten_warm_ups(recipe, max_steps, told.append), told


@pytest.mark.parametrize(("training", "dsrl"), [(0, 0), (50, 50), (49, 0)])
def test_a_warm_up_of_up_to_half_the_run_stays(training, dsrl):
    recipe, used, told = shortened(100, training=training, dsrl=dsrl)
    assert used == recipe
    assert told == []


def test_longer_ones_become_a_tenth_of_the_run_and_it_is_said():
    recipe, used, told = shortened(120, training=200, dsrl=500)
    assert (used.training.warmup_steps, used.dsrl.warmup_steps) == (12, 12)
    expected = "training.warmup_steps 200 -> 12, dsrl.warmup_steps 500 -> 12: more than half"
    assert len(told) == 1
    assert expected in told[0]
    assert "120 steps" in told[0]
    whole = used.model_dump()
    for section in ("training", "dsrl"):
        whole[section]["warmup_steps"] = recipe.model_dump()[section]["warmup_steps"]
    assert whole == recipe.model_dump()  # nothing else has changed


def test_each_is_judged_by_itself():
    _, used, told = shortened(100, training=51, dsrl=50)
    assert (used.training.warmup_steps, used.dsrl.warmup_steps) == (10, 50)
    assert "dsrl" not in told[0]


def test_a_warm_up_of_losses_there_are_not_is_left_alone():
    _, used, told = shortened(100, training=0, dsrl=500, enabled=False)
    assert used.dsrl.warmup_steps == 500
    assert told == []
