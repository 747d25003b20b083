from pathlib import Path

import pytest
from tiny import TinyDataset

from dualseg.config import load_recipe
from dualseg.core.errors import InputError
from dualseg.data.catalog import Splits
from dualseg.training.ablation import (
    VARIANTS,
    plan_ablation,
    require_same_recipes,
    run_ablation,
    slug,
)
from dualseg.training.preflight import fill_in

RECIPE = load_recipe("quickstart")


def test_the_grid_holds_both_baselines_and_every_part():
    plan = plan_ablation(RECIPE, Path("out"))
    assert [run.variant for run in plan] == list(VARIANTS)
    low, full, sssr, sisr, affinity = (run.recipe for run in plan)
    assert (low.dsrl.enabled, low.data.label_size) == (False, "input")
    assert (full.dsrl.enabled, full.data.label_size) == (False, "full")
    assert [r.dsrl.stage for r in (sssr, sisr, affinity)] == [1, 2, 3]
    assert all(run.recipe.training == RECIPE.training for run in plan)


def test_only_the_low_label_is_shrunk_whatever_the_recipe_says():
    shrunk = {"data.label_size": "input", "data.label_shrink": "majority"}
    recipe = load_recipe(
        "quickstart", overrides=["dsrl.enabled=false", *(f"{k}={v}" for k, v in shrunk.items())]
    )
    low, *others = (run.recipe.data for run in plan_ablation(recipe, Path("out")))
    assert (low.label_size, low.label_shrink) == ("input", "majority")
    assert len(others) == 4
    assert {(data.label_size, data.label_shrink) for data in others} == {("full", "nearest")}


def test_seeds_are_whole_and_folders_apart():
    plan = plan_ablation(RECIPE, Path("out"), num_seeds=2)
    assert [run.seed for run in plan] == [0] * 5 + [1] * 5
    assert all(run.recipe.seed == run.seed for run in plan)
    assert len({run.folder for run in plan}) == 10
    assert plan[-1].folder == Path("out/sssr_sisr_fa/seed_1")


def test_names_become_folder_names():
    assert [slug(name) for name in VARIANTS] == [
        "low_label",
        "full_label",
        "sssr",
        "sssr_sisr",
        "sssr_sisr_fa",
    ]


def test_finished_runs_are_kept_and_stopped_ones_resumed(tmp_path):
    plan = plan_ablation(RECIPE, tmp_path, variants=["+SSSR", "full label", "low label"])
    finished, stopped, new = plan
    assert [run.variant for run in plan] == ["low label", "full label", "+SSSR"]
    leave_run(stopped, stopped.recipe)
    done = []
    run_ablation(
        plan,
        train=lambda recipe, folder: done.append(("train", folder)),
        resume=lambda folder: done.append(("resume", folder)),
        is_finished=lambda folder: folder == finished.folder,
        announce=lambda run, number: None,
        finish=lambda run: done.append(("finish", run.folder)),
    )
    assert done == [
        ("resume", stopped.folder),
        ("finish", stopped.folder),
        ("train", new.folder),
        ("finish", new.folder),
    ]


def test_runs_of_another_recipe_are_not_mixed_in(tmp_path):
    plan = plan_ablation(RECIPE, tmp_path)
    longer = plan[1].recipe.training.model_copy(update={"max_steps": 7, "num_workers": 3})
    leave_run(plan[0], plan[0].recipe)
    leave_run(plan[1], plan[1].recipe.model_copy(update={"training": longer}))
    with pytest.raises(InputError, match=r"another recipe(?s:.)*max_steps: 7 there") as error:
        require_same_recipes(plan)
    assert len(error.value.problems) == 1


def test_a_recipe_that_leaves_values_to_the_data_finds_its_own_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("start.safetensors").touch()
    path = Path("recipe.yaml")
    path.write_text(
        "{data: {name: streets, input_scale: 0.5}, loss: {class_weights: median_frequency}, "
        "training: {max_steps: 3, warmup_steps: 2, init_weights: start.safetensors}}"
    )
    plan = plan_ablation(load_recipe(path), Path("out"))
    splits = Splits(TinyDataset(11), TinyDataset(3, "val"), ())
    for run in plan:
        leave_run(run, fill_in(run.recipe, splits, lambda text: None))

    require_same_recipes(plan)  # refuses nothing

    other = load_recipe(path, overrides=["loss.class_weights=null", "model.output_stride=8"])
    with pytest.raises(InputError) as error:
        require_same_recipes(plan_ablation(other, Path("out"), variants=["+SSSR"]))
    assert [problem.split(": ")[1] for problem in error.value.problems] == [
        "model.output_stride",
        "loss.class_weights",
    ]


def leave_run(run, recipe):
    """What a stopped run leaves, as far as the grid looks at it."""
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(recipe.to_yaml())


@pytest.mark.parametrize(
    ("given", "variant"),
    [
        ("low label", "low label"),
        ("baseline", "low label"),
        ("low_label", "low label"),
        ("full_label", "full label"),
        ("sssr", "+SSSR"),
        ("+SSSR", "+SSSR"),
        ("+SISR", "+SSSR +SISR"),
        ("sssr_sisr", "+SSSR +SISR"),
        ("+FA", "+SSSR +SISR +FA"),
        ("sssr_sisr_fa", "+SSSR +SISR +FA"),
    ],
)
def test_a_variant_goes_by_its_name_its_folders_or_what_it_adds(given, variant):
    plan = plan_ablation(RECIPE, Path("out"), variants=[given])
    assert [run.variant for run in plan] == [variant]


def test_a_variant_named_twice_is_trained_once_in_the_tables_order():
    plan = plan_ablation(RECIPE, Path("out"), variants=["+FA", "baseline", "low_label"])
    assert [run.variant for run in plan] == ["low label", "+SSSR +SISR +FA"]


def test_unknown_variants_and_full_size_inputs_are_refused():
    with pytest.raises(InputError, match=r"did you mean \+SSSR"):
        plan_ablation(RECIPE, Path("out"), variants=["SSSR"])
    full = RECIPE.model_copy(update={"data": RECIPE.data.model_copy(update={"input_scale": 1.0})})
    with pytest.raises(InputError, match=r"needs 0\.5"):
        plan_ablation(full, Path("out"))
