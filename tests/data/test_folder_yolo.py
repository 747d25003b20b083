from pathlib import Path

import pytest
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.data.datasets.folder import describe_folder

LEFT_HALF = "0 0 0 0.5 0 0.5 1 0 1"
TOP_RIGHT = "1 0.5 0 1 0 1 0.5 0.5 0.5"


def _folder(root: Path, *lines: str, names: str = "[dog, cat]", splits: bool = True) -> Path:
    """a and b, of 2x4 pixels."""
    for split, name in (("train", "a"), ("val", "b")):
        inner = f"/{split}" if splits else ""
        save(root / f"images{inner}" / f"{name}.jpg", gray(2, 4))
        file = root / f"labels{inner}" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines))
    if names:
        (root / "data.yaml").write_text(f"train: images/train\nnames: {names}\n")
    return root


def test_shares_of_the_size_become_pixels_and_later_lines_lie_on_top(tmp_path: Path) -> None:
    wide = "0 0 0 0.75 0 0.75 1 0 1"
    description = describe_folder(_folder(tmp_path, wide, TOP_RIGHT))
    assert description.labels.class_names == ("background", "dog", "cat")
    assert description.open("val").label_map(0).tolist() == [[1, 1, 2, 2], [1, 1, 1, 0]]
    assert "  dog: 2 shapes" in description.notes


@pytest.mark.parametrize("names", ["[dog, cat]", "{0: dog, 1: cat}", "{'1': cat, '0': dog}"])
def test_names_are_a_list_or_a_mapping(tmp_path: Path, names: str) -> None:
    found = describe_folder(_folder(tmp_path, LEFT_HALF, names=names)).labels.class_names
    assert found == ("background", "dog", "cat")


def test_splits_may_stand_outside_or_be_missing(tmp_path: Path) -> None:
    _folder(tmp_path / "flat", LEFT_HALF, splits=False)
    assert "held out" in describe_folder(tmp_path / "flat").notes[0]
    for split, name in (("train", "a"), ("valid", "b")):
        save(tmp_path / "outer" / split / "images" / f"{name}.jpg", gray(2, 4))
        (tmp_path / "outer" / split / "labels").mkdir()
        (tmp_path / "outer" / split / "labels" / f"{name}.txt").write_text(LEFT_HALF)
    (tmp_path / "outer" / "data.yaml").write_text("names: [dog]")
    assert describe_folder(tmp_path / "outer").notes[0] == "images: 1 train, 1 val"


def test_a_year_behind_the_name_of_a_split_is_understood(tmp_path: Path) -> None:
    root = _folder(tmp_path, LEFT_HALF)
    for kind in ("images", "labels"):
        for split in ("train", "val"):
            (root / kind / split).rename(root / kind / f"{split}2017")
    assert describe_folder(root).notes[0] == "images: 1 train, 1 val"


def test_an_image_without_a_label_file_is_background(tmp_path: Path) -> None:
    root = _folder(tmp_path, LEFT_HALF)
    (root / "labels/val/b.txt").unlink()
    save(root / "images/val/c.jpg", gray(2, 4))
    (root / "labels/val/c.txt").write_text("")
    description = describe_folder(root)
    val = description.open("val")
    assert val.label_map(0).tolist() == val.label_map(1).tolist() == [[0] * 4] * 2
    assert description.notes[-1] == "images: 1 without a label file are background"


def test_a_background_among_the_names_is_the_first_class(tmp_path: Path) -> None:
    root = _folder(tmp_path, LEFT_HALF, TOP_RIGHT, names="[cat, background]")
    description = describe_folder(root)
    assert description.labels.class_names == ("background", "cat")
    assert description.open("val").label_map(0).tolist() == [[1, 1, 0, 0]] * 2


def test_names_may_come_from_the_declaration(tmp_path: Path) -> None:
    root = _folder(tmp_path, TOP_RIGHT, names="")
    with pytest.raises(InputError, match=r"no data.yaml that names the classes"):
        describe_folder(root)
    (root / "dataset.yaml").write_text("class_names: [background, dog, cat]\n")
    assert describe_folder(root).open("val").label_map(0).max() == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 1 1", "line 2: a box (five numbers), as of detection"),
        ("0 0 0 1 0 1", "line 2: a box"),
        ("0 0 0 1 0 1 1 0", "line 2: 8 numbers; a class and three x y or more"),
        ("2 0 0 1 0 1 1", "line 2: class 2; names has 2, 0 to 1"),
        ("-1 0 0 1 0 1 1", "line 2: class -1"),
        ("0 0 0 1 nan 1 1", "line 2: a coordinate is no number"),
        ("0 0 0 640 0 640 480", "line 2: coordinates in pixels"),
        ("0 0 0 1 0 one 1", "line 2: could not convert"),
    ],
)
def test_faults_are_listed_by_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        describe_folder(_folder(tmp_path, LEFT_HALF, line))
    assert caught.value.headline == "2 YOLO label files have faults:"
    assert f"a.txt: {message}" in caught.value.problems[0]


def test_points_outside_are_cut_off(tmp_path: Path) -> None:
    root = _folder(tmp_path, "0 -0.2 -0.2 0.5 -0.2 0.5 1.2 -0.2 1.2")
    assert describe_folder(root).open("val").label_map(0).tolist() == [[1, 1, 0, 0]] * 2


def test_a_label_file_without_an_image_is_named(tmp_path: Path) -> None:
    root = _folder(tmp_path, LEFT_HALF)
    (root / "labels/train/z.txt").write_text(LEFT_HALF)
    with pytest.raises(InputError) as caught:
        describe_folder(root)
    assert caught.value.problems[0].startswith("z.txt has no image in ")


def test_a_split_without_labels_is_named(tmp_path: Path) -> None:
    root = _folder(tmp_path, LEFT_HALF)
    (root / "labels/val").rename(root / "labels/elsewhere")
    with pytest.raises(InputError, match="val: no folder of that name in"):
        describe_folder(root)


def test_a_split_of_images_without_any_label_file_is_background(tmp_path: Path) -> None:
    root = _folder(tmp_path, LEFT_HALF)
    (root / "labels/val/b.txt").unlink()
    description = describe_folder(root)
    assert description.notes[0] == "images: 1 train, 1 val"
    assert description.notes[-1] == "images: 1 without a label file are background"
    assert description.open("val").label_map(0).tolist() == [[0] * 4] * 2


def test_only_images_for_testing_may_have_no_labels(tmp_path: Path) -> None:
    save(tmp_path / "images/test/t.jpg", gray(2, 4))
    description = describe_folder(_folder(tmp_path, LEFT_HALF))
    assert list(description.splits) == ["train", "val"]
    found = f"not read: images in {tmp_path / 'images/test'}, which have no labels"
    assert found in description.notes


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("val/images/b.jpg", "val/images holds images, but there is no folder .*val/labels"),
        ("val/b.jpg", "val holds images, but there is no folder .*val/labels"),
    ],
)
def test_a_split_folder_without_labels_is_named(tmp_path: Path, image: str, told: str) -> None:
    _folder(tmp_path / "train", LEFT_HALF, splits=False, names="")
    (tmp_path / "data.yaml").write_text("names: [dog]")
    save(tmp_path / image, gray(2, 4))
    with pytest.raises(InputError, match=told):
        describe_folder(tmp_path)


def test_two_folders_of_a_split_are_named(tmp_path: Path) -> None:
    root = _folder(tmp_path, LEFT_HALF)
    for kind, name in (("images", "c.jpg"), ("labels", "c.txt")):
        (root / kind / "valid").mkdir()
        (root / kind / "valid" / name).write_bytes(
            (root / kind / "val" / f"b{name[1:]}").read_bytes()
        )
    with pytest.raises(InputError, match=r"val and .*valid are the same split, val; keep one"):
        describe_folder(root)


def test_images_that_lie_elsewhere_are_noted(tmp_path: Path) -> None:
    root = _folder(tmp_path, LEFT_HALF)
    for place in ("train/night", "extra", "."):
        save(root / "images" / place / "c.jpg", gray(2, 4))
    notes = describe_folder(root).notes
    assert f"not read: sub-folders extra of {root / 'images'}" in notes
    assert f"not read: 1 pictures in {root / 'images'} itself" in notes
    assert f"not read: sub-folders night of {root / 'images/train'}" in notes


def _add(root: Path, split: str, name: str, place: str = "{split}/{kind}") -> None:
    save(root / place.format(split=split, kind="images") / f"{name}.jpg", gray(2, 4))
    file = root / place.format(split=split, kind="labels") / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(LEFT_HALF)


def test_a_split_folder_beside_images_and_labels_is_that_split(tmp_path: Path) -> None:
    root = _folder(tmp_path, LEFT_HALF, splits=False)
    _add(root, "val", "c")
    description = describe_folder(root)
    found = {split: [pair.name for pair in pairs] for split, pairs in description.splits.items()}
    assert found == {"train": ["a", "b"], "val": ["c"]}
    _add(root, "train", "d")
    with pytest.raises(InputError) as caught:
        describe_folder(root)
    both = f"{root / 'images'} and {root / 'train/images'} are the same split, train"
    assert both in str(caught.value)


def test_split_folders_beside_images_and_labels_need_labels_too(tmp_path: Path) -> None:
    root = _folder(tmp_path, LEFT_HALF, splits=False)
    save(root / "test/images/c.jpg", gray(2, 4))
    save(root / "valid/c.jpg", gray(2, 4))
    notes = describe_folder(root).notes
    for folder in ("test/images", "valid"):
        assert f"not read: images in {root / folder}, which have no labels" in notes
    save(root / "val/images/c.jpg", gray(2, 4))
    with pytest.raises(InputError, match="val/images holds images, but there is no folder"):
        describe_folder(root)


def test_labels_without_images_are_noted_or_refused(tmp_path: Path) -> None:
    root = _folder(tmp_path, LEFT_HALF)
    for folder in ("extra", "test", "train/more"):
        (root / "labels" / folder).mkdir()
        (root / "labels" / folder / "c.txt").write_text(LEFT_HALF)
    notes = describe_folder(root).notes
    assert f"not read: sub-folders extra, test of {root / 'labels'}" in notes
    assert f"not read: sub-folders more of {root / 'labels/train'}" in notes
    (root / "images/val/b.jpg").unlink()
    (root / "images/val").rmdir()
    with pytest.raises(InputError, match="labels/val holds labels, but there is no folder of"):
        describe_folder(root)
