"""Shards from the command line: check, train, resume, evaluate."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from dualseg.data.datasets.folder import describe_folder
from dualseg.data.shards.samples import LABEL_EXTENSION
from dualseg.data.shards.writer import write_shards

TWO_STEPS = "training.max_steps=2"


@pytest.fixture
def shards(street, tmp_path):
    """The folder of pictures as shards of two images."""
    found = describe_folder(street)
    for split in ("train", "val"):
        write_shards(found.open(split), tmp_path / "shards", images_per_shard=2)
    return tmp_path / "shards"


def test_a_folder_of_shards_trains_and_is_scored(dualseg, shards, recipe, tmp_path):
    run = tmp_path / "run"
    trained = dualseg("train", recipe, "--data", shards, "--set", TWO_STEPS, "--out", run, "--json")
    assert trained.code == 0, trained.stderr
    assert trained.json["step"] == 2
    assert "classes: 2, as dataset.yaml says" in trained.stderr
    scored = dualseg("evaluate", run, "--json")
    assert scored.code == 0, scored.stderr
    assert scored.json["num_images"] == len(describe_folder(tmp_path / "street").open("val"))


def test_classes_that_nothing_beside_the_shards_names_are_said_to_be_the_networks(
    dualseg, shards, recipe, tmp_path
):
    run = tmp_path / "run"
    assert dualseg("train", recipe, "--data", shards, "--set", TWO_STEPS, "--out", run).code == 0
    assert "those of the network" not in dualseg("evaluate", run, "--data", shards).stderr
    (shards / "dataset.yaml").unlink()
    scored = dualseg("evaluate", run, "--data", shards)
    assert scored.code == 0, scored.stderr
    assert "classes: 2, those of the network, since no dataset.yaml beside" in scored.stderr


def test_a_label_in_bare_shards_that_is_none_of_the_networks_classes_is_told(
    dualseg, shards, recipe, tmp_path
):
    run = tmp_path / "run"
    assert dualseg("train", recipe, "--data", shards, "--set", TWO_STEPS, "--out", run).code == 0
    (shards / "dataset.yaml").unlink()
    spoil_labels(shards / "val-000000.tar", value=7)
    told = dualseg("evaluate", run, "--data", shards)
    assert told.code == 2
    assert "known values are 0, 1, 255" in " ".join(told.stderr.split())


def spoil_labels(shard, *, value):
    """Sets the corner of every label in a shard."""
    with tarfile.open(shard) as old:
        members = [(member, old.extractfile(member).read()) for member in old]
    with tarfile.open(shard, "w") as new:
        for member, content in members:
            if member.name.endswith(LABEL_EXTENSION):
                pixels = np.array(Image.open(io.BytesIO(content)))
                pixels[0, 0] = value
                stream = io.BytesIO()
                Image.fromarray(pixels).save(stream, format="PNG")
                content, member.size = stream.getvalue(), stream.tell()
            new.addfile(member, io.BytesIO(content))


def test_shards_and_files_give_the_same_training(dualseg, shards, street, recipe, tmp_path):
    losses = []
    for number, data in enumerate((street, shards)):
        run = tmp_path / f"run{number}"
        assert dualseg("train", recipe, "--data", data, "--set", TWO_STEPS, "--out", run).code == 0
        lines = (run / "metrics.jsonl").read_text().splitlines()
        losses.append([line.split('"loss": ')[1].split(",")[0] for line in lines if "loss" in line])
    assert losses[0] == losses[1]
    assert len(losses[0]) == 2


def test_a_pattern_from_another_folder_resumes_anywhere(
    dualseg, shards, recipe, tmp_path, monkeypatch
):
    monkeypatch.chdir(shards.parent)
    count = len(list(shards.glob("train-*.tar")))
    pattern = f"shards/train-{{000000..{count - 1:06d}}}.tar"
    run = tmp_path / "run"
    first = dualseg("train", recipe, "--data", pattern, "--set", TWO_STEPS, "--out", run)
    assert first.code == 0, first.stderr
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resumed = dualseg("resume", run, "--set", "training.max_steps=3", "--json")
    assert resumed.code == 0, resumed.stderr
    assert resumed.json["step"] == 3


def test_check_reads_the_labels_in_the_shards(dualseg, shards):
    found = dualseg("data", "check", shards, "--json")
    assert found.code == 0, found.stderr
    assert found.json["train"]["sizes"] == {"40x56": found.json["train"]["num_images"]}
    assert found.json["val"]["pixels_per_class"]["foreground"] > 0


def test_check_reads_the_test_split_of_shards(dualseg, shards, street):
    found = describe_folder(street).open("val")
    found.split = "test"
    write_shards(found, shards)
    told = dualseg("data", "check", shards, "--json")
    assert told.code == 0, told.stderr
    assert told.json["test"] == told.json["val"]
    leaks = [w["file"] for w in told.json["warnings"] if w["code"] == "W203"]
    assert leaks == ["val and test:"]


def test_check_names_shard_and_member_of_a_fault(dualseg, tmp_path):
    folder = tmp_path / "wds"
    folder.mkdir()
    for split in ("train", "val"):
        with tarfile.open(folder / f"{split}-0.tar", "w") as file:
            for key, value in (("a", 0), ("b", 1), ("c", 7)):
                for ending, pixels in (
                    ("jpg", np.zeros((8, 8, 3), np.uint8)),
                    ("seg.png", np.full((8, 8), value, np.uint8)),
                ):
                    stream = io.BytesIO()
                    Image.fromarray(pixels).save(stream, format="PNG")
                    info = tarfile.TarInfo(f"{key}.{ending}")
                    info.size = stream.tell()
                    file.addfile(info, io.BytesIO(stream.getvalue()))
    (folder / "dataset.yaml").write_text("class_names: [ground, house]\n")
    found = dualseg("data", "check", folder, "--json")
    assert found.code == 2
    files = [fault["file"] for fault in found.json["faults"]]
    assert len(files) == 2
    assert "c" in files[0]
    assert "label values 7 (64 pixels)" in found.json["faults"][0]["found"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("pipe:cat a.tar", "commands are not run"),
        ("nowhere/train-{000..003}.tar", "cannot read the shard"),
        ("gopher7://b/train-0.tar", "gopher7:// is unknown"),
        ("shards-{000..003}.tar.gz", "there is no such folder, and no data set"),
    ],
)
def test_wrong_shards_are_one_message(dualseg, data, message, tmp_path):
    found = dualseg("data", "check", data)
    assert found.code == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr
