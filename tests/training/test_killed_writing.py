"""A run killed at every single change of its folder: saves, removals, links, history."""

from pathlib import Path

import pytest
from runs import assert_same_outcome
from tiny import tiny_recipe

from dualseg.training.trainer import is_finished, resume, train
from kill_points import dies_at

pytestmark = pytest.mark.usefixtures("tiny_world")

RECIPE = tiny_recipe({"training": {"max_steps": 5, "eval_every": 2, "checkpoint_every": 1}})


def points_survived(folder: Path, *, every: int) -> int:
    """Kills at each `every`-th change, goes on, and compares with a run that was left alone."""
    train(RECIPE, folder / "whole")
    point, survived = 1, 0
    while True:
        run = folder / f"killed_{point}"
        if not dies_at(point, run, lambda run=run: train(RECIPE, run)):
            return survived
        if (run / "config.yaml").exists():
            resume(run)
        else:
            train(RECIPE, run)
        assert is_finished(run)
        assert_same_outcome(run, folder / "whole")
        point, survived = point + every, survived + 1


def test_a_kill_at_every_eleventh_change_of_the_folder_changes_nothing(tmp_path: Path) -> None:
    assert points_survived(tmp_path, every=11) >= 8


@pytest.mark.slow
def test_a_kill_at_every_change_of_the_folder_changes_nothing(tmp_path: Path) -> None:
    assert points_survived(tmp_path, every=1) >= 70
