import pytest
from tiny import TinyDataset, tiny_recipe

from dualseg.config import Recipe
from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.data.catalog import Splits
from dualseg.training.objectives import distillation
from dualseg.training.preflight import fill_in
from dualseg.training.records.data_record import write_data_record
from dualseg.training.same_recipe import recipe_differences, require_recipe_of


class FiveBands(TinyDataset):
    images = ImageSpec(channels=5)


def leave_run(folder, recipe: Recipe, dataset=TinyDataset) -> None:
    splits = Splits(dataset(11), dataset(3, "val"), ())
    completed = fill_in(recipe, splits, lambda text: None)
    (folder / "config.yaml").write_text(completed.to_yaml())
    write_data_record(folder, completed.data, splits)


def test_mean_and_deviation_of_other_bands_are_the_runs_to_write(tmp_path):
    leave_run(tmp_path, tiny_recipe(), FiveBands)
    assert recipe_differences(tmp_path, tiny_recipe()) == []
    measured = tiny_recipe({"data": {"mean": [0.4] * 5, "std": [0.25] * 5}})
    assert recipe_differences(tmp_path, measured) == [
        "data.mean: [0.5, 0.5, 0.5, 0.5, 0.5] there, [0.4, 0.4, 0.4, 0.4, 0.4] asked for"
    ]


def test_measured_numbers_of_three_bands_are_a_difference(tmp_path):
    leave_run(tmp_path, tiny_recipe({"data": {"mean": [0.4] * 3, "std": [0.2] * 3}}))
    assert [line.split(":")[0] for line in recipe_differences(tmp_path, tiny_recipe())] == [
        "data.mean",
        "data.std",
    ]


def test_a_teachers_fingerprint_is_the_runs_to_write(tmp_path, monkeypatch):
    monkeypatch.setattr(distillation, "teacher_fingerprint", lambda path: "0123456789abcdef")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "teacher").mkdir()
    taught = tiny_recipe({"distillation": {"teacher": "teacher"}})
    leave_run(tmp_path, taught)
    assert recipe_differences(tmp_path, taught) == []
    assert recipe_differences(tmp_path, tiny_recipe()) == [
        f"distillation.teacher: '{tmp_path / 'teacher'}' there, None asked for"
    ]


def test_a_run_of_another_recipe_is_refused_with_what_differs(tmp_path):
    leave_run(tmp_path, tiny_recipe())
    require_recipe_of(tmp_path, tiny_recipe({"training": {"num_workers": 2, "max_steps": 6}}))
    with pytest.raises(InputError, match=r"another recipe(?s:.)*seed: 5 there, 6 asked for"):
        require_recipe_of(tmp_path, tiny_recipe().model_copy(update={"seed": 6}))


LENGTHS = {"steps": {"max_steps": 40}, "epochs": {"max_steps": None, "max_epochs": 20}}  # 40 too


def warmed(length: str, *, training: int, dsrl: int) -> Recipe:
    return tiny_recipe(
        {
            "training": {**LENGTHS[length], "warmup_steps": training},
            "dsrl": {"enabled": True, "warmup_steps": dsrl},
            "data": {"input_scale": 0.5, "crop_size": [64, 64]},
        }
    )


@pytest.mark.parametrize("length", LENGTHS)
def test_a_warm_up_is_compared_as_the_run_uses_it(tmp_path, length):
    asked = warmed(length, training=30, dsrl=50)
    leave_run(tmp_path, asked)
    assert recipe_differences(tmp_path, asked) == []
    used = warmed(length, training=4, dsrl=4)  # a tenth of 40 steps
    assert recipe_differences(tmp_path, used) == []
    assert recipe_differences(tmp_path, warmed(length, training=20, dsrl=0)) == [
        "dsrl.warmup_steps: 4 there, 0 asked for",
        "training.warmup_steps: 4 there, 20 asked for",
    ]
