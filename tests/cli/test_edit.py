"""`dualseg edit`: what a person may change in a model's facts, and what is refused."""

import json

import pytest
import torch

import dualseg as package
from dualseg.checkpoints.model_files import save_model_file
from dualseg.core.facts import ModelFacts, default_labels


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    network = package.create_model(
        "deeplabv3", backbone="resnet18", num_classes=3, atrous_rates=[2, 4, 6]
    )
    path = tmp_path / "model.safetensors"
    save_model_file(path, network, ModelFacts(network.architecture, default_labels(3)))
    return path


def facts_of(path):
    return json.loads(path.with_suffix(".json").read_text())


def test_facts_are_changed_in_place_and_the_weights_stay(dualseg, model):
    before = model.read_bytes()

    finished = dualseg("edit", model, "source=our streets", "class_names.2=car", "score=0.5")

    assert finished.code == 0
    facts = facts_of(model)
    assert (facts["source"], facts["class_names"], facts["score"]) == (
        "our streets",
        ["class_0", "class_1", "car"],
        0.5,
    )
    assert model.read_bytes() == before


def test_false_is_false_and_not_a_word(dualseg, model):
    assert dualseg("edit", model, "architecture.align_corners=true").code == 0
    assert facts_of(model)["architecture"]["align_corners"] is True
    assert dualseg("edit", model, "architecture.align_corners=false").code == 0
    assert facts_of(model)["architecture"]["align_corners"] is False


def test_out_leaves_the_model_as_it_was(dualseg, model, tmp_path):
    before = facts_of(model)
    out = tmp_path / "new.safetensors"

    assert dualseg("edit", model, "mean=[0.5, 0.5, 0.5]", "--out", out, "--json").json["mean"] == [
        0.5,
        0.5,
        0.5,
    ]
    assert facts_of(model) == before
    assert package.load_model(out).facts.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sorce=x", "did you mean source"),
        ("class_names.3=car", "the list has entries 0 to 2"),
        ("class_names=car", "a list; got 'car', text"),
        ("mean=[0.5, 0.5]", "mean has 2 numbers"),
        ("class_names=[a, a, b]", "class names stand twice: a"),
        ("class_names=[a, b]", "2"),
        ("input_scale=half", "a number; got 'half', text"),
        ("score=good", "a number; got 'good', text"),
        ("num_classes=4", "there is no fact 'num_classes' to change"),
        ("architecture.backbone=resnet34", "does not fit the network"),
        ("architecture.num_classes=4", "names 3 classes, but the network predicts 4"),
        ("architecture.name=nothing", "there is no model 'nothing'"),
        ("source", "is not key=value"),
    ],
)
def test_a_wrong_change_is_refused_and_nothing_is_written(dualseg, model, change, message):
    before = facts_of(model)

    finished = dualseg("edit", model, "source=new", change)

    assert finished.code == 2
    assert message in finished.stderr
    assert facts_of(model) == before


def test_a_checkpoint_of_a_run_is_never_changed_in_place(dualseg, model, tmp_path):
    folder = tmp_path / "step_1"
    folder.mkdir()
    model.rename(folder / "model.safetensors")
    (tmp_path / "model.json").rename(folder / "model.json")
    (folder / "checksums.json").write_text("{}")

    finished = dualseg("edit", folder, "source=new")

    assert finished.code == 2
    assert "--out NEW.safetensors" in finished.stderr


def test_an_output_that_exists_is_refused(dualseg, model, tmp_path):
    (tmp_path / "there.safetensors").write_bytes(b"mine")

    finished = dualseg("edit", model, "source=new", "--out", tmp_path / "there.safetensors")

    assert finished.code == 2
    assert (tmp_path / "there.safetensors").read_bytes() == b"mine"
