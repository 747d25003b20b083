"""`allow_missing: true` in dataset.yaml: what has no partner is left out and told."""

import pytest
from PIL import Image

from dualseg.config import load_recipe


def _missing_mask(folder):
    (folder / "masks" / "3.png").unlink()


def _missing_image(folder):
    (folder / "images" / "3.png").unlink()


def _missing_row(folder):
    _rows(folder)
    (folder / "masks" / "3.png").unlink()


def _rows(folder):
    lines = [f"images/{n}.png,masks/{n}.png" for n in range(8)]
    (folder / "pairs.csv").write_text("\n".join(["image,mask", *lines, ""]))


def _side_by_side(folder):
    for number in range(8):
        (folder / "images" / f"{number}.png").rename(folder / f"{number}.png")
        (folder / "masks" / f"{number}.png").rename(folder / f"{number}_mask.png")
    for part in ("images", "masks"):
        (folder / part).rmdir()
    (folder / "3_mask.png").unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_missing_mask, "1 images have no mask in masks: images/3.png"),
        (_missing_image, "1 masks have no image in images: masks/3.png"),
        (_missing_row, "row 5: there is no masks/3.png"),
        (_side_by_side, "3.png has 0 masks"),
    ],
)
def test_masks_without_a_partner(dualseg, street, damage, told):
    damage(street)
    refused = dualseg("data", "check", street)
    assert refused.code == 2
    assert told in refused.stderr
    (street / "dataset.yaml").write_text("allow_missing: true\n")
    allowed = dualseg("data", "check", street, "--json")
    assert allowed.code == 0, allowed.stderr
    assert told in allowed.stderr
    assert sum(allowed.json[split]["num_images"] for split in ("train", "val")) == 7


@pytest.mark.parametrize("form", ["coco", "cvat", "labelme", "yolo"])
def test_images_that_shapes_belong_to(dualseg, street, tmp_path, form):
    folder = tmp_path / form
    assert dualseg("data", "convert", street, "--to", form, "--out", folder).code == 0
    before = sorted(path for path in folder.rglob("*.png"))
    before[3].unlink()
    refused = dualseg("data", "check", folder)
    assert refused.code == 2
    declared = folder / "dataset.yaml"
    declared.write_text(declared.read_text() + "allow_missing: true\n")
    allowed = dualseg("data", "check", folder, "--json")
    assert allowed.code == 0, allowed.stderr
    assert "left out: " in allowed.stderr
    assert sum(allowed.json[split]["num_images"] for split in ("train", "val")) == 7


def test_other_faults_stay_faults(dualseg, street):
    (street / "dataset.yaml").write_text("allow_missing: true\n")
    Image.new("RGB", (56, 40)).save(street / "images" / "3.jpg")
    done = dualseg("data", "check", street)
    assert done.code == 2
    assert "2 files share their name with another one" in done.stderr


def test_it_is_true_or_false(dualseg, street):
    (street / "dataset.yaml").write_text("allow_missing: perhaps\n")
    done = dualseg("data", "check", street)
    assert done.code == 2
    assert "allow_missing: expected true or false, got 'perhaps'" in done.stderr


def test_frames_that_camvids_lists_name(dualseg, street):
    frames = sorted((street / "images").iterdir())
    for split, some in {"train": frames[:6], "val": frames[6:]}.items():
        for folder in (split, f"{split}annot"):
            (street / folder).mkdir()
        for frame in some:
            frame.rename(street / split / frame.name)
            (street / "masks" / frame.name).rename(street / f"{split}annot" / frame.name)
        lines = [f"{split}/{frame.name} {split}annot/{frame.name}\n" for frame in some]
        (street / f"{split}.txt").write_text("".join(lines))
    (street / "dataset.yaml").write_text("class_names: [ground, box]\n")
    (street / "trainannot" / "3.png").unlink()
    (street / "val" / "7.png").unlink()
    refused = dualseg("data", "check", street)
    assert refused.code == 2
    assert "1 files that" in refused.stderr
    assert "allow_missing: true" in refused.stderr

    with (street / "dataset.yaml").open("a") as file:
        file.write("allow_missing: true\n")
    allowed = dualseg("data", "check", street, "--json")

    assert allowed.code == 0, allowed.stderr
    assert "left out: there is no" in allowed.stderr
    counts = [allowed.json[split]["num_images"] for split in ("train", "val")]
    assert counts == [5, 1]


def test_a_run_on_data_that_is_only_read_keeps_what_was_allowed(dualseg, street, recipe, tmp_path):
    _missing_mask(street)
    before = {path: path.read_bytes() for path in street.rglob("*") if path.is_file()}
    arguments = ("train", recipe, "--data", street, "--out", tmp_path / "run")
    assert dualseg(*arguments).code == 2

    trained = dualseg(*arguments, "--allow-missing")

    assert trained.code == 0, trained.stderr
    assert "1 images have no mask in masks: images/3.png" in trained.stderr
    assert load_recipe(tmp_path / "run" / "config.yaml").data.allow_missing is True
    assert dualseg("resume", tmp_path / "run", "--set", "training.max_steps=4").code == 0
    own = dualseg("evaluate", tmp_path / "run", "--json")
    assert own.code == 0, own.stderr
    assert {path: path.read_bytes() for path in street.rglob("*") if path.is_file()} == before

    checked = dualseg("data", "check", street, "--json")
    assert (checked.code, checked.json["ok"]) == (2, False)
    checked = dualseg("data", "check", street, "--allow-missing", "--json")
    assert (checked.code, checked.json["ok"]) == (0, True)
    other = ("evaluate", tmp_path / "run", "--data", street, "--json")
    assert dualseg(*other).code == 2
    assert dualseg(*other, "--allow-missing").json["miou"] == own.json["miou"]


def test_only_a_folder_may_have_gaps(dualseg, recipe, tmp_path):
    arguments = ("train", recipe, "--data", "streets", "--out", tmp_path / "run")
    done = dualseg(*arguments, "--allow-missing")
    assert done.code == 2
    assert "allow_missing is for a folder of images and masks" in " ".join(done.stderr.split())
