import numpy as np
from PIL import Image


def test_models_lists_names_parameters_and_sources(dualseg):
    rows = dualseg("models", "--backbone", "resnet18", "--json").json["models"]
    assert [row["name"] for row in rows] == ["fcn", "deeplabv3", "deeplabv3plus"]
    assert all(row["parameters"] > 11e6 for row in rows)
    assert "Chen et al. 2018" in rows[2]["source"]


def test_the_embedded_data_can_be_written_and_checked(dualseg, tmp_path, monkeypatch):
    from dualseg.data.datasets import streets

    monkeypatch.setattr(streets, "NUM_IMAGES", {"train": 3, "val": 2})
    folder = tmp_path / "streets"
    assert dualseg("data", "make", "streets", "--out", folder).code == 0
    label = Image.open(folder / "masks" / "val" / "val_001.png")
    assert np.array_equal(np.asarray(label), streets.Streets("val").label_map(1))
    found = dualseg("data", "check", folder, "--json")
    assert found.code == 0, found.stderr
    assert found.json["train"]["num_images"] == 3
    assert found.json["val"]["pixels_per_class"]["road"] > 0
    assert dualseg("data", "make", "streets", "--out", folder).code == 2


def test_version_and_no_arguments(dualseg):
    assert dualseg("--version").stdout.startswith("dualseg 0.")
    assert "quickstart" in dualseg().stdout + dualseg().stderr
