"""Every official layout trains two steps from the command line, checked and scored on the way."""

import pytest

from dualseg.data.catalog import list_datasets
from official_trees import TREES

QUICK = ("cityscapes", "coco", "camvid32", "mapillary", "sbd", "voc_aug")  # one of each way to read


def test_every_official_data_set_has_a_tree():
    assert set(TREES) == set(list_datasets()) - {"folder", "streets", "shards"}


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in TREES]
)
def test_two_steps(dualseg, recipe, tmp_path, name):
    root = TREES[name](tmp_path / "data")
    settings = [f"data.name={name}", "dsrl.enabled=false", "data.input_scale=1.0"]
    settings += ["training.max_steps=2", "data.crop_size=[32, 32]"]
    chosen = [word for setting in settings for word in ("--set", setting)]
    done = dualseg("train", recipe, "--data", root, *chosen, "--out", tmp_path / "run", "--json")
    assert done.code == 0, done.stderr
    assert done.json["step"] == 2
    scored = dualseg("evaluate", tmp_path / "run", "--json")
    assert scored.code == 0, scored.stderr
    assert 0 <= scored.json["miou"] <= 1


def test_a_folder_is_checked_in_the_layout_that_is_named_with_it(dualseg, tmp_path):
    root = TREES["cityscapes"](tmp_path / "data")
    done = dualseg("data", "check", f"cityscapes:{root}", "--json")
    assert done.code == 0, done.stderr
    assert "bicycle" in done.json["train"]["pixels_per_class"]
    gone = dualseg("data", "check", f"cityscapes:{tmp_path / 'nowhere'}")
    assert gone.code == 2
    assert "there is no folder" in gone.stderr
