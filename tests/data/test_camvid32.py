from pathlib import Path

import numpy as np
import pytest

from dualseg.core.errors import InputError
from dualseg.data.checking.checker import check_dataset
from dualseg.data.datasets.camvid import CAMVID_LABELS
from dualseg.data.datasets.camvid32 import (
    CAMVID32_LABELS,
    CLASSES,
    COLORS,
    GROUPED_LABELS,
    open_camvid32,
    split_of,
)
from dualseg.data.labels.color_labels import read_color_values
from official_trees import label, make_camvid32, save_label


def test_colours_become_classes_and_void_is_ignored(tmp_path: Path) -> None:
    dataset = open_camvid32(make_camvid32(tmp_path), "train")
    label_map = dataset.label_map(0)
    names = dataset.labels.class_names
    assert label_map[0, 0] == 255
    assert (names[label_map[0, 1]], names[label_map[15, 15]]) == ("Sky", "Truck_Bus")
    assert CAMVID32_LABELS.num_classes == 31
    assert len(set(COLORS)) == 32


def test_the_full_classes_can_be_grouped_into_the_eleven(tmp_path: Path) -> None:
    dataset = open_camvid32(make_camvid32(tmp_path), "train", grouped=True)
    label_map = dataset.label_map(0)
    names = dataset.labels.class_names
    assert (names[label_map[0, 1]], names[label_map[15, 15]]) == ("sky", "car")
    assert names == CAMVID_LABELS.class_names
    assert set(GROUPED_LABELS.values.values()) == {*range(11), 255}  # no group is empty


@pytest.mark.parametrize(
    ("frame", "split"),
    [
        ("0001TP_006690", "train"),
        ("0001TP_008520", "train"),
        ("0001TP_008550", "test"),
        ("0001TP_010380", "test"),
        ("0006R0_f03930", "train"),
        ("0016E5_07957", "train"),
        ("0016E5_07959", "val"),
        ("0016E5_08159", "val"),
        ("0016E5_08190", "train"),
        ("Seq05VD_f05100", "test"),
    ],
)
def test_frames_are_divided_as_in_the_segnet_lists(frame: str, split: str) -> None:
    assert split_of(frame) == split


def test_each_split_holds_its_frames(tmp_path: Path) -> None:
    root = make_camvid32(tmp_path)
    sizes = {split: len(open_camvid32(root, split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 2, "val": 1, "test": 1}


def test_a_frame_without_label_is_listed(tmp_path: Path) -> None:
    root = make_camvid32(tmp_path)
    (root / "LabeledApproved_full/0016E5_08001_L.png").unlink()
    with pytest.raises(InputError, match="1 files that") as caught:
        open_camvid32(root, "val")
    assert "0016E5_08001_L.png" in str(caught.value)


def test_another_layout_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no 701_StillsRaw_full, no LabeledApproved_full in"):
        open_camvid32(tmp_path, "train")


def test_a_colour_that_is_no_class_is_named_with_its_pixels_and_the_nearest(tmp_path: Path) -> None:
    values = label((128, 128, 128), (192, 128, 192))
    values[3, :5] = (130, 127, 128)
    values[9, 0] = (190, 0, 130)
    root = make_camvid32(tmp_path)
    save_label(root / "LabeledApproved_full/0016E5_08001_L.png", values)
    with pytest.raises(InputError) as caught:
        check_dataset(open_camvid32(root, "val"))
    message = str(caught.value)
    assert "0016E5_08001_L.png holds 2 colours that are no class" in message
    assert "(130, 127, 128): 5 pixels, nearest is (128, 128, 128)" in message
    assert "(190, 0, 130): 1 pixels, nearest is (192, 0, 128)" in message


def test_a_palette_file_is_read_by_its_colours(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save_label(path, label(7, 7), palette=True)  # index 7 is drawn (7, 248, 3)
    values = read_color_values(path, [(9, 9, 9), (7, 248, 3), (0, 0, 0)])
    assert np.array_equal(values, label(1, 1))


def test_every_class_keeps_its_published_colour() -> None:
    published = {name: color for name, color, _ in CLASSES}
    assert published["Bicyclist"] == (0, 128, 192)
    assert published["Wall"] == (64, 192, 0)
