import numpy as np
from PIL import Image

from dualseg.cli import console
from dualseg.models.entries import ENTRIES


def test_models_lists_names_parameters_cost_and_sources(dualseg):
    rows = dualseg("models", "--json").json["models"]
    assert [row["name"] for row in rows] == list(ENTRIES)
    found = {row["name"]: row for row in rows}
    assert all(row["gflops"] > 1 and row["source"] for row in rows)
    # torchvision counts 3 221 538 with 21 classes, each with two biases; here 19, with one.
    assert found["lraspp"]["parameters"] == 3221538 - 21 * (128 + 40 + 2) + 19 * (128 + 40 + 1)
    assert found["deeplabv3plus"]["strides"] == [2, 4, 8, 16, 16]


def test_one_model_is_listed_with_each_variant(dualseg, monkeypatch):
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.0)
    done = dualseg("models", "deeplabv3plus", "--backbone", "resnet18", "--json")
    rows = done.json["models"]
    assert f"building networks: {len(rows)}/{len(rows)}" in done.stderr
    assert [row["head_variant"] for row in rows] == list(ENTRIES["deeplabv3plus"].variants)
    assert len({row["parameters"] for row in rows}) > 2


def test_dsrl_sees_half_and_costs_less(dualseg):
    def gflops(*more):
        chosen = dualseg("models", "fcn", "--backbone", "resnet18", "--json", *more).json
        return chosen["models"][0]["gflops"]

    assert gflops("--dsrl") < 0.4 * gflops()


def test_backbones_are_listed_by_family(dualseg):
    found = dualseg("models", "--backbones", "--json").json
    assert "ResNet" in [row["family"] for row in found["backbones"]]
    assert "resnet18" in found["names"]
    assert "Backbones" in dualseg("models", "--backbones").stdout


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


def test_one_embedded_set_needs_no_name(dualseg, tmp_path, monkeypatch):
    from dualseg.data.datasets import streets

    monkeypatch.setattr(streets, "NUM_IMAGES", {"train": 1, "val": 1})
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.0)
    done = dualseg("data", "make", tmp_path / "mine", "--json")
    assert (done.code, done.json) == (0, {"out": str(tmp_path / "mine")})
    assert done.stderr == "drawing streets: 1/2\ndrawing streets: 2/2\n"
    assert (tmp_path / "mine" / "masks" / "val" / "val_000.png").exists()
    again = dualseg("data", "make", tmp_path / "mine")
    assert (again.code, again.stdout) == (2, "")
    assert "exists; choose a new folder" in again.stderr


def test_a_set_needs_a_folder_and_a_folder_no_other_set(dualseg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nowhere = dualseg("data", "make", "streets")
    assert nowhere.code == 2
    assert "dualseg data make streets --out DIR" in " ".join(nowhere.stderr.split())
    mistyped = dualseg("data", "make", "street", "--out", "mine")
    assert mistyped.code == 2
    assert "'street' cannot be made; did you mean streets?" in mistyped.stderr
    assert not list(tmp_path.iterdir())


def test_version_and_no_arguments(dualseg):
    assert dualseg("--version").stdout.startswith("dualseg 0.")
    assert "quickstart" in dualseg().stdout + dualseg().stderr
