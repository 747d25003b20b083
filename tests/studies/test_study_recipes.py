"""The packaged recipes of the best networks are what the study trained."""

from pathlib import Path
from typing import Any

import pytest

from camvid_study.best_rows import TAUGHT_SSSR, best_rows
from camvid_study.ledger import what_counts
from camvid_study.plan import plan_runs, recipe_of
from camvid_study.scratch_rows import SMALL_CROPS, WHOLE_AFTER_CROPS
from dualseg.config import Recipe, load_recipe


def settings(recipe: Recipe) -> dict[str, Any]:
    plain = what_counts(recipe)
    del plain["training"]["init_weights"]  # given on the command line, as the teacher is
    del plain["dsrl"]["warmup_steps"]  # of SISR and the affinity, which none of them has
    return plain


@pytest.mark.parametrize(
    ("recipe", "row"),
    [
        ("camvid_best_crops", SMALL_CROPS),
        ("camvid_best_full", WHOLE_AFTER_CROPS),
        ("camvid_best", TAUGHT_SSSR),
    ],
)
def test_a_recipe_of_the_best_is_a_row_of_the_study(recipe: str, row: str):
    rows = [each for each in best_rows() if each.name == row]
    (run,) = plan_runs(rows, seeds=[0], epochs=100, out=Path("/out"))

    trained = recipe_of(run, data=Path("/data"), num_images=367, threads=None)

    assert settings(load_recipe(recipe)) == settings(trained)
