"""Every wrong input: exit code 2, one message that says what to do, nothing half-written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dualseg.checkpoints.model_files import save_model_file
from dualseg.cli.main import app
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.models.catalog import create_model


@pytest.fixture
def saved_model(tmp_path):
    """The file of a small network."""
    model = create_model("fcn", backbone="mobilenet_v2", num_classes=2, output_stride=32)
    path = tmp_path / "net.safetensors"
    save_model_file(path, model, ModelFacts(model.architecture, default_labels(2)))
    return path


def refused(done):
    """The message of a command that must have been refused."""
    assert done.code == 2, (done.code, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def test_all_faults_of_a_recipe_at_once(dualseg, street, recipe, tmp_path):
    recipe.write_text("training: {lr: -1, max_epoch: 3}\nmodle: {}\n")
    message = refused(dualseg("train", recipe, "--data", street, "--out", tmp_path / "run"))
    assert "training.lr" in message
    assert "did you mean max_epochs" in message
    assert "modle: unknown key; did you mean model?" in message
    assert not (tmp_path / "run").exists()


def test_nothing_to_train_on(dualseg, tmp_path):
    assert "--data DIR" in refused(dualseg("train", "--out", tmp_path / "run"))


def test_a_folder_that_is_not_there(dualseg, recipe, tmp_path):
    message = refused(dualseg("train", recipe, "--data", tmp_path / "nowhere"))
    assert "there is no such folder" in message


def test_an_empty_folder(dualseg, recipe, tmp_path):
    (tmp_path / "empty").mkdir()
    done = dualseg("train", recipe, "--data", tmp_path / "empty", "--out", tmp_path / "run")
    assert "images" in refused(done)
    assert not (tmp_path / "run").exists()


def test_missing_masks_and_masks_without_image(dualseg, street, recipe, tmp_path):
    (street / "masks" / "3.png").unlink()
    (street / "images" / "5.png").unlink()
    message = refused(dualseg("train", recipe, "--data", street, "--out", tmp_path / "run"))
    assert "3" in message
    assert "5" in message


def test_a_mask_of_another_size(dualseg, street, recipe, tmp_path):
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(street / "masks" / "2.png")
    message = refused(dualseg("train", recipe, "--data", street, "--out", tmp_path / "run"))
    assert "2.png" in message
    assert "10x10" in message


def test_a_label_value_beyond_the_classes(dualseg, street, recipe, tmp_path):
    (street / "dataset.yaml").write_text("class_names: [a, b]\nvalues: {0: 0, 255: 1}\n")
    mask = np.zeros((40, 56), np.uint8)
    mask[:2, :3] = 7
    Image.fromarray(mask).save(street / "masks" / "4.png")
    message = refused(dualseg("train", recipe, "--data", street, "--out", tmp_path / "run"))
    assert "4.png" in message
    assert "7 (6 pixels)" in message
    assert "dataset.yaml" in message


def test_a_truncated_image(dualseg, street, recipe, tmp_path):
    path = street / "images" / "1.png"
    path.write_bytes(path.read_bytes()[:200])
    done = dualseg("train", recipe, "--data", street, "--out", tmp_path / "run")
    assert "1.png" in refused(done)


def test_a_run_is_not_overwritten(dualseg, street, recipe, tmp_path):
    arguments = ("train", recipe, "--data", street, "--out", tmp_path / "run")
    assert dualseg(*arguments, "--set", "training.max_steps=1").code == 0
    assert "dualseg resume" in refused(dualseg(*arguments))


def _content(folder):
    """Every file's bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("rehearsal", [(), ("--dry-run",)], ids=["train", "dry run"])
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (".", "holds something already"),
        ("masks", "holds something already"),
        ("masks/run", "among the data"),
        ("images/deep/run", "among the data"),
    ],
)
def test_the_data_is_not_trained_into(dualseg, street, recipe, place, reason, rehearsal):
    (street / "dataset.yaml").write_text("class_names: [a, b]\nvalues: {0: 0, 255: 1}\n")
    before = _content(street)
    done = dualseg("train", recipe, "--data", street, "--out", street / place, *rehearsal)
    assert reason in refused(done)
    assert _content(street) == before
    assert not (street / "masks/run").exists()


def test_a_run_beside_the_images_and_masks_goes_on(dualseg, street, recipe):
    run, short = street / "runs/one", ("--set", "training.max_steps=1")
    done = dualseg("train", recipe, "--data", street, "--out", run, *short)
    assert done.code == 0, done.stderr
    done = dualseg("resume", run, "--set", "training.max_steps=2")
    assert done.code == 0, done.stderr


def test_an_ablation_does_not_train_into_the_data(dualseg, street, recipe):
    before = _content(street)
    done = dualseg("ablate", recipe, "--data", street, "--out", street / "images")
    assert "among the data" in refused(done)
    assert _content(street) == before


def test_an_override_that_changes_the_past(dualseg, street, recipe, tmp_path):
    run = tmp_path / "run"
    short = ("--set", "training.max_steps=1")
    assert dualseg("train", recipe, "--data", street, "--out", run, *short).code == 0
    changed = ("resume", run, "--set", "training.lr=0.5", "--set", "training.max_steps=2")
    message = refused(dualseg(*changed))
    assert "training.lr: 0.001 -> 0.5" in message
    assert "--allow-changed" in message
    allowed = dualseg(*changed, "--allow-changed")
    assert allowed.code == 0, allowed.stderr
    assert "training.lr: 0.001 -> 0.5" in " ".join(allowed.stderr.split())


@pytest.mark.parametrize("command", ["resume", "evaluate", "report", "inspect"])
def test_a_run_that_is_not_there(dualseg, command, tmp_path):
    assert "nowhere" in refused(dualseg(command, tmp_path / "nowhere"))


def test_a_pickle_under_another_name(dualseg, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x80\x04cos\nsystem\n.")
    path.with_suffix(".json").write_text("{}")
    refused(dualseg("inspect", path))
    refused(dualseg("predict", path, tmp_path / "x.png", "--out", tmp_path / "out"))


def test_an_unknown_option(dualseg):
    assert "--colour" in refused(dualseg("models", "--colour"))


def test_an_unknown_model_lists_the_nearest(dualseg):
    assert "did you mean deeplabv3" in refused(dualseg("models", "deeplab3"))


@pytest.mark.parametrize("command", [command.name for command in app.registered_commands])
def test_every_command_explains_itself_with_an_example(dualseg, command):
    done = dualseg(command, "--help")
    assert done.code == 0
    assert "Example: dualseg" in done.stdout


@pytest.mark.parametrize("device", ["foo", "gpu", "cuda:x", "cuda:01", "", "meta", "auto:3"])
def test_an_unknown_device(dualseg, street, saved_model, tmp_path, device):
    options = ("--out", tmp_path / "out", "--device", device)
    message = refused(dualseg("predict", saved_model, street / "images", *options))
    assert f"there is no device '{device}'; give auto, cpu, cuda, cuda:N or mps" in message


@pytest.mark.parametrize("device", ["auto:3", "cuda:", "cuda:\u0663"])
def test_an_unknown_device_in_a_recipe(dualseg, street, recipe, tmp_path, device):
    setting = f"runtime.device='{device}'"
    out = ("--out", tmp_path / "run")
    message = refused(dualseg("train", recipe, "--data", street, *out, "--set", setting))
    assert "device must be auto, cpu, cuda, cuda:N or mps" in message


def test_more_threads_than_any_machine_has(dualseg, street, recipe, saved_model, tmp_path):
    message = refused(dualseg("evaluate", saved_model, "--data", street, "--threads", 100000))
    assert "1024" in message
    many = ("--set", "runtime.threads=100000", "--out", tmp_path / "run")
    assert "1024" in refused(dualseg("train", recipe, "--data", street, *many))


@pytest.mark.parametrize(
    "command",
    [("prune", "MODEL"), ("edit", "MODEL", "source=new", "--out")],
)
@pytest.mark.parametrize("name", ["v1.5", "camvid.baseline"])
def test_a_folder_for_a_model_may_have_a_dot_in_its_name(
    dualseg, saved_model, tmp_path, command, name
):
    # The facts of a file v1.safetensors are not in the way of a folder.
    (tmp_path / Path(name).with_suffix(".json")).write_text("{}")
    out = tmp_path / name
    done = dualseg(*[saved_model if part == "MODEL" else part for part in command], out)
    assert done.code == 0, done.stderr
    assert sorted(file.name for file in out.iterdir()) == ["model.json", "model.safetensors"]
    assert dualseg("inspect", out).code == 0


@pytest.mark.parametrize("name", ["a.pth", "a.onnx", "a.SAFETENSORS", "a.safetensor", "a.json"])
def test_a_model_is_written_under_no_other_ending(dualseg, saved_model, tmp_path, name):
    message = refused(dualseg("prune", saved_model, tmp_path / name))
    assert "give a name that ends in .safetensors, or a folder" in message


@pytest.mark.parametrize("out", [".", "/"])
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("data", "check", "STREET", "--out"), "is a folder; name a file in it"),
        (("data", "stats", "STREET", "--out"), "is a folder; name a file in it"),
        (("data", "show", "STREET", "--out"), "is a folder; name a file in it"),
        (("data", "convert", "STREET", "--to", "masks", "--out"), "folder; "),
        (("data", "convert", "STREET", "--to", "shards", "--out"), "folder; "),
        (("prune", "MODEL"), "exists; choose another name"),
        (("edit", "MODEL", "source=new", "--out"), "exists; choose another name"),
        (("import", "MODEL", "--out"), "exists; choose another name"),
    ],
)
def test_a_place_without_a_name(
    dualseg, street, saved_model, tmp_path, monkeypatch, command, reason, out
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    given = {"STREET": street, "MODEL": saved_model}
    message = refused(dualseg(*[given.get(part, part) for part in command], out))
    assert reason in message
    assert f" {out} " in message
    assert list((tmp_path / "empty").iterdir()) == []
