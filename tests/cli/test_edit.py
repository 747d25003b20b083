"""`dualseg edit`: what a person may change in a model's facts, and what is refused."""

import json

import huggingface_hub
import pytest
import torch

import dualseg as package
from dualseg.checkpoints.model_files import save_model_file
from dualseg.config import parse_yaml
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
        ("source=2026-11-22", "got datetime.date(2026, 11, 22), a date"),
        ("values.77=1", "there is no fact 'values.77' to change"),
        ("class_names.²=car", "the list has entries 0 to 2"),
        ("mean.0=.nan", "mean is (nan, 0.456, 0.406); it must be numbers that are finite"),
        ("std=[0, 0, 0]", "std is (0.0, 0.0, 0.0); it must be numbers above 0"),
        ("input_scale=0", "input_scale is 0.0; it must be a number above 0"),
        ("input_scale=-1", "input_scale is -1.0; it must be a number above 0"),
        ("training_size=[5]", "training_size is (5,); it must be height and width"),
        ("training_size=[0, -3]", "training_size is (0, -3); it must be height and width"),
        ("score=7", "score is 7; it must be a mIoU of 0 to 1"),
        ("score=.nan", "score is nan; it must be a mIoU of 0 to 1"),
        ("palette.0=[300, 0, 0]", "the palette holds (300, 0, 0); a colour is"),
        ("palette.0=[.inf, 0, 0]", "cannot convert float infinity to integer"),
        ("ignore_index=300", "ignore_index is 300; beside 3 classes it may be 3 to 255"),
        ("architecture.output_stride=2026-11-22", "got datetime.date(2026, 11, 22), a date"),
        ("architecture.auxiliary_channels=2026-11-22", "cannot be written as JSON"),
    ],
)
def test_a_wrong_change_is_refused_and_nothing_is_written(dualseg, model, change, message):
    before = facts_of(model)

    finished = dualseg("edit", model, "source=new", change)

    assert finished.code == 2
    assert message in " ".join(finished.stderr.split())
    assert facts_of(model) == before


def test_a_refused_change_leaves_no_weights_without_facts(dualseg, model):
    before = sorted(model.parent.iterdir())

    finished = dualseg("edit", model, "mean.0=.nan", "--out", model.with_name("new.safetensors"))

    assert finished.code == 2
    assert sorted(model.parent.iterdir()) == before


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


def test_a_model_on_the_hub_is_changed_only_in_a_copy(dualseg, model, monkeypatch, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    for file in (model, model.with_suffix(".json")):
        file.rename(cache / file.name)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(cache))
    kept = (cache / "model.json").read_bytes()

    refused = dualseg("edit", "hf://me/net", "source=new")
    copied = dualseg("edit", "hf://me/net", "source=new", "--out", tmp_path / "new.safetensors")

    assert refused.code == 2
    assert "--out NEW.safetensors" in refused.stderr
    assert copied.code == 0
    assert facts_of(tmp_path / "new.safetensors")["source"] == "new"
    assert (cache / "model.json").read_bytes() == kept


def test_a_raw_label_value_is_one_of_the_facts_shown(dualseg, model):
    assert dualseg("inspect", model, "--key", "values.2").stdout == "2\n"

    unknown = dualseg("inspect", model, "--key", "values.77")

    assert unknown.code == 2
    assert "there is no fact 'values.77'; allowed: 0, 1, 2, 255" in unknown.stderr


def test_what_is_shown_is_yaml_that_keeps_texts_and_numbers(dualseg, model):
    shown = dualseg("edit", model, "source='1e-05'", "std=[1e-05, 0.2, 0.2]").stderr
    for text in (shown, dualseg("inspect", model).stdout):
        facts = parse_yaml(text[text.index("source:") :] if text is shown else text, origin="shown")
        assert facts["source"] == "1e-05"
        assert facts["std"] == [1e-05, 0.2, 0.2]
    assert dualseg("inspect", model, "--key", "source").stdout == "'1e-05'\n"
