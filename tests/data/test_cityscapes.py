import shutil
from pathlib import Path

import pytest

from dualseg.core.errors import InputError
from dualseg.data.datasets.cityscapes import LABEL_IDS, TRAIN_IDS, open_cityscapes
from official_trees import label, make_cityscapes, save_label

OFFICIAL = (7, 8, 11, 12, 13, 17, 19, *range(20, 29), 31, 32, 33)


def test_label_ids_become_the_nineteen_classes_and_all_others_are_ignored(tmp_path: Path) -> None:
    dataset = open_cityscapes(make_cityscapes(tmp_path), "train")
    assert len(dataset) == 2
    assert dataset.name(0) == "aachen_000000_000019"
    assert dataset.label_map(0)[0, 0] == 0
    assert dataset.label_map(0)[15, 15] == 255
    assert LABEL_IDS.num_classes == 19


def test_every_id_of_the_release_has_its_train_id(tmp_path: Path) -> None:
    for raw in (-1, *range(34)):
        expected = OFFICIAL.index(raw) if raw in OFFICIAL else 255
        assert LABEL_IDS.values[raw] == expected
    assert LABEL_IDS.class_names[OFFICIAL.index(26)] == "car"
    assert LABEL_IDS.palette[10] == (70, 130, 180)


def test_the_root_may_be_the_parent(tmp_path: Path) -> None:
    make_cityscapes(tmp_path / "cityscapes")
    assert len(open_cityscapes(tmp_path, "val")) == 2


def test_folders_as_the_archives_unpack_are_found(tmp_path: Path) -> None:
    make_cityscapes(tmp_path)
    for name in ("leftImg8bit", "gtFine"):
        (tmp_path / f"{name}_trainvaltest").mkdir()
        shutil.move(tmp_path / name, tmp_path / f"{name}_trainvaltest" / name)
    assert open_cityscapes(tmp_path, "val").label_map(0)[0, 0] == 0


def test_train_ids_are_read_where_there_are_no_label_ids(tmp_path: Path) -> None:
    root = make_cityscapes(tmp_path)
    for path in (root / "gtFine").rglob("*_labelIds.png"):
        path.unlink()
        save_label(path.with_name(path.name.replace("labelIds", "labelTrainIds")), label(18, 255))
    dataset = open_cityscapes(root, "train")
    assert dataset.labels is TRAIN_IDS
    assert dataset.label_map(0)[0, 0] == 18
    assert dataset.label_map(0)[15, 15] == 255


def test_label_ids_win_over_train_ids(tmp_path: Path) -> None:
    root = make_cityscapes(tmp_path)
    for path in list((root / "gtFine").rglob("*_labelIds.png")):
        save_label(path.with_name(path.name.replace("labelIds", "labelTrainIds")), label(18, 255))
    assert open_cityscapes(root, "train").labels is LABEL_IDS


def test_the_test_split_is_never_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'test' is not opened: its label files are dummies"):
        open_cityscapes(make_cityscapes(tmp_path), "test")


def test_missing_masks_are_listed_never_skipped(tmp_path: Path) -> None:
    root = make_cityscapes(tmp_path)
    lost = root / "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png"
    lost.unlink()
    with pytest.raises(InputError, match=r"1 files that .* are missing") as caught:
        open_cityscapes(root, "train")
    assert caught.value.problems == (str(lost),)


def test_masks_without_an_image_are_listed(tmp_path: Path) -> None:
    root = make_cityscapes(tmp_path)
    (root / "leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png").unlink()
    with pytest.raises(InputError, match="1 label files have no image"):
        open_cityscapes(root, "train")


def test_missing_labels_are_explained(tmp_path: Path) -> None:
    root = make_cityscapes(tmp_path)
    shutil.rmtree(root / "gtFine")
    with pytest.raises(InputError) as caught:
        open_cityscapes(root, "train")
    message = str(caught.value)
    assert "no gtFine/train and no gtFine_trainvaltest/gtFine/train in" in message
    assert "gtFine_trainvaltest.zip" in message
    assert "cityscapes-dataset.com" in message
