"""`dualseg export`, and its files in `predict` and `evaluate`."""

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from dualseg.checkpoints.model_files import load_model, save_model_file
from dualseg.cli import console
from dualseg.core.facts import ModelFacts
from dualseg.core.labels import LabelSpec
from dualseg.inference.predictor import Predictor
from dualseg.models.catalog import create_model


@pytest.fixture
def model(tmp_path):
    """One file with random weights and two classes."""
    torch.manual_seed(0)
    network = create_model("fcn", backbone="test_resnet", num_classes=2).prune().eval()
    labels = LabelSpec(class_names=("ground", "box"), palette=((0, 0, 0), (255, 0, 0)))
    path = tmp_path / "small.safetensors"
    save_model_file(path, network, ModelFacts(network.architecture, labels))
    return path


def refused(done):
    assert done.code == 2, (done.code, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def test_export_predict_and_evaluate(dualseg, model, street, tmp_path):
    out = tmp_path / "small.pt2"
    done = dualseg("export", model, "--format", "torch", "--out", out, "--data", street, "--json")
    assert done.code == 0, done.stderr
    assert done.json["files"] == [str(out)]
    assert done.json["bytes"] == out.stat().st_size
    assert done.json["parity"]["relative"] <= 1e-4
    assert done.json["parity"]["num_labelled"] > 0
    scores = []
    for name in (model, out):
        arguments = ["--data", street, "--json"]
        scores.append(dualseg("evaluate", name, *arguments).json["miou"])
        folder = tmp_path / f"predicted{name.suffix}"
        assert dualseg("predict", name, street / "images", "--out", folder).code == 0
    assert scores[0] == scores[1]
    expected = Predictor(load_model(model))(street / "images" / "0.png")
    found = np.asarray(Image.open(tmp_path / "predicted.pt2" / "0_labels.png"))
    np.testing.assert_array_equal(found, expected)
    message = refused(dualseg("evaluate", out, "--data", street, "--output-stride", 8))
    assert "an exported file keeps its output stride" in message
    assert "computes in the precision it was exported in" in refused(
        dualseg("predict", out, street / "images", "--out", tmp_path / "p", "--precision", "bf16")
    )
    for command in (["prune", out, tmp_path / "y.safetensors"], ["edit", out, "source=x"]):
        assert "needs the network it was made of" in refused(dualseg(*command))
    message = refused(dualseg("export", out, "--format", "torch", "--out", tmp_path / "z.pt2"))
    assert "export the network it was made of" in message
    assert "exists; choose another name" in refused(
        dualseg("export", model, "--format", "torch", "--out", out)
    )


def test_each_step_of_an_export_is_told(dualseg, model, street, tmp_path, monkeypatch):
    monkeypatch.setattr(console, "SECONDS_BEFORE_STEPS", 0.0)
    out = tmp_path / "small.pt2"
    done = dualseg("export", model, "--format", "torch", "--out", out, "--data", street, "--json")
    assert done.json["file"] == str(out)  # nothing but JSON on stdout
    told = [line for line in done.stderr.splitlines() if not line.startswith("warning")]
    assert told[-7:] == [
        "tracing",
        "writing small.pt2",
        "opening small.pt2",
        "comparing",
        "scoring the network",
        "scoring the file",
        "writing small.pt2",
    ]


def test_a_bar_stands_on_a_terminal_and_not_in_the_json(dualseg, model, tmp_path, monkeypatch):
    terminal = io.StringIO()
    shown = Console(file=terminal, force_terminal=True, width=100)
    monkeypatch.setattr(console, "stderr", shown)
    monkeypatch.setattr(console, "_bars_are_seen", lambda: True)
    out = tmp_path / "small.pt2"
    small = ("--size", "64x64")
    done = dualseg("export", model, "--format", "torch", "--out", out, *small, "--json")
    assert done.json["file"] == str(out)
    assert "tracing" in terminal.getvalue()
    terminal.truncate(0)
    pruned = dualseg("prune", model, tmp_path / "pruned.safetensors", "--json")
    assert pruned.json["file"] == str(tmp_path / "pruned.safetensors")
    assert "reading" in terminal.getvalue()


FORMATS = [
    ("onnx", "onnxscript", "x.onnx"),
    ("openvino", "openvino", "x.xml"),
    ("torch", "torch", "x.pt2"),
]


@pytest.mark.parametrize(("format_name", "package", "name"), FORMATS)
def test_an_exported_file_tells_its_facts_and_how_it_was_made(
    dualseg, model, tmp_path, format_name, package, name
):
    pytest.importorskip(package)
    out = tmp_path / name
    made = dualseg("export", model, "--format", format_name, "--out", out, "--size", "32x32")
    assert made.code == 0, made.stderr
    facts = dualseg("inspect", out, "--json").json
    note = facts.pop("export")
    assert facts == dualseg("inspect", model, "--json").json
    assert (note["precision"], note["size"]) == ("fp32", [32, 32])
    assert note["parity"]["relative"] <= 1e-4
    assert dualseg("inspect", out, "--key", "class_names").stdout == "- ground\n- box\n"
    assert dualseg("inspect", out, "--key", "export.precision").stdout == "fp32\n"
    assert "export:" in dualseg("inspect", out).stdout


def test_inspecting_no_exported_file_is_refused(dualseg, tmp_path):
    stranger = tmp_path / "stranger.pt2"
    stranger.write_bytes(b"nothing")
    assert str(stranger) in refused(dualseg("inspect", stranger))
    assert "there is no file" in refused(dualseg("inspect", tmp_path / "none.onnx"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "onxx", "--out", "x.onnx"], "format 'onxx' is unknown; did you mean onnx?"),
        (["--format", "onnx", "--out", "x.xml"], "a file of format onnx ends in .onnx"),
        (["--format", "onnx", "--out", "v1.5"], "ends in .onnx; name it v1.5.onnx"),
        (
            ["--format", "onnx", "--out", "x.onnx", "--precision", "fp16"],
            "fp32, bf16, int8",
        ),
        (["--format", "onnx", "--out", "x.onnx", "--precision", "bf16"], "format onnx has no bf16"),
        (
            ["--format", "torch", "--out", "x.pt2", "--precision", "int8"],
            "for onnx, openvino",
        ),
        (["--format", "openvino", "--out", "x.xml", "--precision", "int8"], "give --calibrate DIR"),
        (
            ["--format", "torch", "--out", "nowhere/x.pt2"],
            "cannot write nowhere/x.pt2: No",
        ),
        (["--format", "torch", "--out", "x.pt2", "--size", "big"], "--size 'big' is no size"),
        (["--format", "torch", "--out", "x.pt2", "--size", "4x4"], "each side must lie between 8"),
        (["--format", "torch", "--out", "x.pt2", "--rewrites", "al"], "--rewrites 'al' is unknown"),
        (["--format", "torch", "--out", "x.pt2", "--calibrate", "."], "is for --precision int8"),
        (["--format", "torch", "--out", "x.pt2", "--split", "val"], "--split is a part of --data"),
        (
            ["--format", "torch", "--out", "x.pt2", "--rewrites", "measured"],
            "--rewrites measured is for --format openvino",
        ),
    ],
)
def test_wrong_input(dualseg, model, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert message in refused(dualseg("export", model, *arguments))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("package", "format_name", "suffix", "extra"),
    [("onnx", "onnx", ".onnx", "onnx"), ("openvino", "openvino", ".xml", "openvino")],
)
def test_a_missing_package_names_its_extra(
    dualseg, model, tmp_path, monkeypatch, package, format_name, suffix, extra
):
    monkeypatch.setitem(sys.modules, package, None)
    out = tmp_path / f"x{suffix}"
    message = refused(dualseg("export", model, "--format", format_name, "--out", out))
    assert f"pip install 'dualseg[{extra}]'" in message


def test_a_runtime_is_for_exported_files(dualseg, model, street, tmp_path):
    done = dualseg(
        "predict", model, street / "images", "--out", tmp_path / "p", "--runtime", "openvino"
    )
    assert "--runtime is for exported files" in refused(done)


def test_no_model_at_all(dualseg, tmp_path):
    message = refused(
        dualseg("export", tmp_path / "none", "--format", "torch", "--out", tmp_path / "x.pt2")
    )
    assert "there is no model" in message


@pytest.mark.parametrize(
    ("counted", "arguments", "says"),
    [
        (0, [], "is scored on 4 of the 4 images of val, and every pixel there is ignored"),
        (2, ["--size", "16x16"], "is scored on the middle 16x16 (--size) of 4 of the 4 images"),
    ],
)
def test_a_sample_of_ignored_pixels_is_not_blamed_on_the_labels(
    dualseg, model, tmp_path, counted, arguments, says
):
    data = tmp_path / "data"
    for split in ("train", "val"):
        for part in ("images", "masks"):
            (data / part / split).mkdir(parents=True)
        for number in range(4):
            image = np.full((40, 56, 3), number, np.uint8)
            mask = np.full((40, 56), 255, np.uint8)
            mask[:, : 56 if split == "train" else counted] = number % 2  # no middle has the rim
            Image.fromarray(image).save(data / "images" / split / f"{split}{number}.png")
            Image.fromarray(mask).save(data / "masks" / split / f"{split}{number}.png")
    (data / "dataset.yaml").write_text("class_names: [ground, box]\nignore_index: 255")
    out = tmp_path / "small.pt2"
    where = ["--format", "torch", "--out", out, "--data", data]
    message = refused(dualseg("export", model, *where, *arguments))
    assert says in message
    assert "Check the label" not in message
    assert not out.exists()
