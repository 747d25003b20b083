import pytest
from runs import Told
from tiny import tiny_recipe

from dualseg.training.idle_keys import describe_idle_keys
from dualseg.training.trainer import train

IDLE = [
    ({"training": {"min_delta": 0.01}}, "training.min_delta 0.01", "training.patience is null"),
    ({"training": {"max_skipped_steps": 3}}, "training.max_skipped_steps 3", "on_nan is stop"),
    ({"training": {"warmup_factor": 0.1}}, "training.warmup_factor 0.1", "warmup_steps is 0"),
    ({"model": {"auxiliary_weight": 0.2}}, "model.auxiliary_weight 0.2", "has no auxiliary head"),
    ({"model": {"auxiliary_channels": 7}}, "model.auxiliary_channels 7", "has no auxiliary head"),
    (
        {"model": {"auxiliary_activation": "none"}},
        "model.auxiliary_activation none",
        "has no auxiliary head",
    ),
]
IN_USE = [
    {"training": {"min_delta": 0.01, "patience": 3}},
    {"training": {"max_skipped_steps": 3, "on_nan": "skip"}},
    {"training": {"warmup_factor": 0.1, "warmup_steps": 2}},
]


@pytest.mark.parametrize(("settings", "key", "reason"), IDLE)
def test_a_key_without_effect_is_told_with_the_reason(settings, key, reason):
    (note,) = describe_idle_keys(tiny_recipe(settings), num_auxiliary=0)
    assert note.startswith(f"note: {key} has no effect: ")
    assert note.endswith(reason)


@pytest.mark.parametrize("settings", [{}, *IN_USE])
def test_nothing_is_said_of_keys_that_are_in_use_or_as_they_come(settings):
    assert describe_idle_keys(tiny_recipe(settings), num_auxiliary=0) == []


def test_the_form_of_auxiliary_heads_counts_where_there_are_some():
    recipe = tiny_recipe({"model": {"auxiliary_channels": 7, "auxiliary_activation": "none"}})
    assert describe_idle_keys(recipe, num_auxiliary=1) == []


def test_the_weight_of_auxiliary_heads_gives_way_to_one_for_each():
    recipe = tiny_recipe({"model": {"auxiliary_weight": 0.2}})
    assert describe_idle_keys(recipe, num_auxiliary=1) == []
    recipe = tiny_recipe(
        {"model": {"auxiliary_weight": 0.2}, "loss": {"auxiliary_weights": [0.3, 0.1]}}
    )
    (note,) = describe_idle_keys(recipe, num_auxiliary=2)
    assert note.endswith("loss.auxiliary_weights has one for each head")


@pytest.mark.usefixtures("tiny_world")
def test_training_tells_it_once_and_goes_on(tmp_path):
    told = Told()
    train(tiny_recipe({"training": {"min_delta": 0.01}}), tmp_path / "run", progress=told)
    assert sum("training.min_delta 0.01 has no effect" in line for line in told.messages) == 1
    assert (tmp_path / "run" / "checkpoints" / "last").is_dir()
