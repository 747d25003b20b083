"""`data convert`, and training on what it writes."""

from pathlib import Path

import pytest

from dualseg.data.convert.convert import FORMATS

DRAWN = ("coco", "cvat", "yolo", "labelme")


def _pixels(found) -> dict[str, int]:
    return {s: found.json[s]["pixels_per_class"] for s in ("train", "val")}


@pytest.mark.parametrize("name", [*sorted(set(FORMATS) - {"cityscapes"}), "shards"])
def test_what_is_written_is_checked_and_has_the_same_pixels(dualseg, street, tmp_path, name):
    done = dualseg("data", "convert", street, "--to", name, "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.stderr
    assert done.json["format"] == name
    assert sum(done.json["splits"].values()) == 8
    before, after = (dualseg("data", "check", at, "--json") for at in (street, tmp_path / "out"))
    assert after.code == 0, after.stdout
    assert _pixels(after) == _pixels(before)


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_labels_train_two_steps(dualseg, street, recipe, tmp_path, name):
    data = tmp_path / "data"
    assert dualseg("data", "convert", street, "--to", name, "--out", data).code == 0
    (data / "dataset.yaml").unlink()  # nothing declared
    run = tmp_path / "run"
    few = ("--set", "training.max_steps=2", "--set", "dsrl.enabled=false")
    done = dualseg("train", recipe, "--data", data, *few, "--out", run, "--json")
    assert done.code == 0, done.stderr
    assert done.json["step"] == 2
    assert "foreground" in (run / "dataset.yaml").read_text()
    (data / "dataset.yaml").write_bytes((run / "dataset.yaml").read_bytes())
    assert dualseg("data", "check", data, "--json").json["ok"]


def test_one_split_alone_is_written(dualseg, street, tmp_path):
    arguments = ("--to", "masks", "--split", "val", "--out", tmp_path / "out", "--json")
    done = dualseg("data", "convert", street, *arguments)
    assert list(done.json["splits"]) == ["val"]
    assert [path.name for path in (tmp_path / "out/images").iterdir()] == ["val"]


def test_a_test_split_of_a_folder_is_written_too(dualseg, street, tmp_path):
    for part in ("images", "masks"):
        for split, numbers in (("train", "0123"), ("val", "45"), ("test", "67")):
            (street / part / split).mkdir()
            for number in numbers:
                (street / part / f"{number}.png").rename(street / part / split / f"{number}.png")
    done = dualseg("data", "convert", street, "--to", "coco", "--out", tmp_path / "out", "--json")
    assert done.json["splits"] == {"train": 4, "val": 2, "test": 2}
    assert (tmp_path / "out/annotations/instances_test.json").is_file()


def test_wrong_input_is_told_before_anything_is_read(dualseg, street, tmp_path):
    unknown = dualseg("data", "convert", street, "--to", "cocoo", "--out", tmp_path / "out")
    assert unknown.code == 2
    assert "did you mean coco" in unknown.stderr
    full = dualseg("data", "convert", street, "--to", "coco", "--out", street)
    assert full.code == 2
    assert "is not an empty folder" in full.stderr
    inside = dualseg("data", "convert", street, "--to", "coco", "--out", street / "new")
    assert inside.code == 2
    assert "which is only read" in inside.stderr
    assert not (street / "new").exists()
    assert not list(Path(tmp_path).glob("**/.tmp-*"))
