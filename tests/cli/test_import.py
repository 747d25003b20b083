"""A file of torchvision becomes a model that is scored and used, through the command line alone."""

import json

import numpy as np
import pytest
import torch
import torchvision
import yaml
from PIL import Image

from reference.random_weights import randomize


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """What `torch.save(model.state_dict())` leaves of torchvision's smallest network."""
    network = torchvision.models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None
    )
    randomize(network)
    path = tmp_path_factory.mktemp("published") / "lraspp.pth"
    torch.save(network.state_dict(), path)
    return path, network.eval()


def test_import_evaluate_predict(dualseg, street, published, tmp_path):
    path, network = published
    model = tmp_path / "lraspp.safetensors"
    done = dualseg("import", path, "--out", model, "--json")
    assert done.code == 0, done.stderr
    assert (done.json["library"], done.json["arch"]) == ("torchvision", "lraspp_mobilenet_v3_large")
    assert (done.json["tensors"], done.json["consumed"], done.json["dropped"]) == (319, 319, {})
    facts = dualseg("inspect", model, "--json").json
    assert facts["class_names"][0] == "background"
    assert done.json["sha256"] in facts["source"]
    assert "licence BSD-3-Clause" in facts["source"]

    named = {key: facts[key] for key in ("class_names", "palette")}
    labelled = {**named, "values": {0: 0, 255: 15}}  # the box is a person
    (street / "dataset.yaml").write_text(yaml.safe_dump(labelled))
    scored = dualseg("evaluate", model, "--data", street, "--json")
    assert scored.code == 0, scored.stderr
    assert 0 <= scored.json["miou"] <= 1

    image = street / "images" / "0.png"
    predicted = dualseg("predict", model, image, "--out", tmp_path / "out")
    assert predicted.code == 0, predicted.stderr
    found = np.asarray(Image.open(tmp_path / "out" / "0_labels.png"))
    pixels = torch.from_numpy(np.array(Image.open(image))).permute(2, 0, 1) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        logits = network(((pixels - mean[:, None, None]) / std[:, None, None])[None])["out"]
    assert (found == logits.argmax(1)[0].numpy()).mean() >= 0.9999


def test_the_table_for_people(dualseg, published, tmp_path):
    path, _ = published
    out = tmp_path / "model"
    names = tmp_path / "names.txt"
    names.write_text("road\nPerson\n\ncar\n")
    done = dualseg("import", path, "--from", "torchvision", "--class-names", names, "--out", out)
    assert done.code == 0, done.stderr
    text = " ".join(done.stdout.split())
    for expected in (
        "torch zip",
        "lraspp_mobilenet_v3_large",
        "319 taken, 0 dropped",
        "classifier rows kept │ Person, car",
        "classifier rows new │ road",
    ):
        assert expected in text
    assert done.stdout.splitlines()[-1] == str(out)
    assert json.loads((out / "model.json").read_text())["class_names"] == ["road", "Person", "car"]


def test_the_list(dualseg):
    assert "lraspp_mobilenet_v3_large" in dualseg("import", "--list").stdout
    listed = dualseg("import", "--list", "--json").json
    assert listed["torchvision"]["fcn_resnet50"].startswith("FCN")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "give the file and where to write"),
        (["SRC"], "give the file and where to write"),
        (["SRC", "--out", "model.pth"], "ends in .safetensors, or a folder"),
        (["nothing.pth", "--out", "model"], "there is no file or folder nothing.pth"),
        (["SRC", "--out", "model", "--from", "torchvison"], "did you mean torchvision?"),
        (["SRC", "--out", "model", "--arch", "fcn_resnet5"], "did you mean fcn_resnet50"),
        (["SRC", "--out", "model", "--class-names", ","], "holds no name"),
        (["SRC", "--out", "model", "--class-names", "a,a"], "stand twice: a"),
        (["SRC", "--out", "model", "--class-names", "classses.txt"], "there is no such file"),
        (["SRC", "--out", "model", "--class-names", "lists/classes"], "there is no such file"),
        (["SRC", "--out", "model", "--class-names", ".."], "there is no such file; give a file"),
    ],
)
def test_wrong_arguments(dualseg, published, tmp_path, monkeypatch, arguments, reason):
    monkeypatch.chdir(tmp_path)
    done = dualseg("import", *[published[0] if a == "SRC" else a for a in arguments])
    assert (done.code, done.stdout) == (2, "")
    assert reason in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_dot_in_its_name_is_a_folder(dualseg, published, tmp_path):
    out = tmp_path / "lraspp.v1.5"
    assert dualseg("import", published[0], "--out", out).code == 0
    assert (out / "model.safetensors").is_file()


def test_nothing_is_written_over(dualseg, published, tmp_path):
    (tmp_path / "model.json").write_text("mine")
    done = dualseg("import", published[0], "--out", tmp_path / "model.safetensors")
    assert done.code == 2
    assert (tmp_path / "model.json").read_text() == "mine"


def test_a_malicious_file_in_one_line(dualseg, tmp_path):
    torch.save({"w": torch.ones(2), "x": torch.nn.Linear(2, 2)}, tmp_path / "model.pth")
    done = dualseg("import", tmp_path / "model.pth", "--out", tmp_path / "model")
    assert done.code == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "torch.nn.modules.linear.Linear, which was not run" in done.stderr


def test_a_backbone_alone_trains_as_the_message_says(dualseg, street, recipe, tmp_path):
    path = tmp_path / "resnet18.pth"
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), path)
    done = dualseg("import", path, "--out", tmp_path / "model")
    assert done.code == 2
    setting = f"model.pretrained={path}"
    assert f"--set {setting}" in " ".join(done.stderr.split())
    chosen = ["--set", "model.backbone=resnet18", "--set", setting]
    run = ["--out", tmp_path / "run", "--set", "training.max_steps=1"]
    trained = dualseg("train", recipe, "--data", street, *run, *chosen)
    assert trained.code == 0, trained.stderr
