from pathlib import Path

import numpy as np
import pytest
from pictures import gray, save
from tiff_files import write_tiff

from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import FileDataset, Pair, map_values
from dualseg.data.datasets.folder_yolo import YoloReader

LABELS = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)), {0: 0, 7: 1, 300: 255})


def test_raw_values_become_class_ids(tmp_path: Path) -> None:
    image = save(tmp_path / "a.jpg", gray(2, 3))
    label = save(tmp_path / "a.png", [[0, 7, 300], [7, 7, 0]], np.uint16)
    dataset = FileDataset((Pair("a", image, label),), LABELS, "train")
    assert dataset.label_map(0).tolist() == [[0, 1, 255], [1, 1, 0]]
    assert dataset.label_map(0).dtype == np.uint8
    assert (len(dataset), dataset.name(0)) == (1, "a")
    assert (dataset.image_path(0), dataset.label_path(0)) == (image, label)


def test_labels_of_the_images_size_are_drawn_however_the_images_are_read(tmp_path: Path) -> None:
    image = write_tiff(tmp_path / "a.tif", np.zeros((2, 4, 5), np.uint8))
    (tmp_path / "a.txt").write_text("0 0 0 0.5 0 0.5 1 0 1")
    pair = Pair("a", image, tmp_path / "a.txt")
    dataset = FileDataset((pair,), LABELS, "train", read_values=YoloReader((7,)))
    five = dataset.reading(ImageSpec(channels=5))
    assert five.image(0).shape == (2, 4, 5)
    assert five.label_map(0).tolist() == [[1, 1, 0, 0]] * 2


def test_an_unmapped_value_is_named_with_file_and_pixels() -> None:
    values = np.array([[0, 7, 8], [8, 8, 256]], np.int32)
    with pytest.raises(InputError) as caught:
        map_values(values, LABELS, Path("street/b.png"))
    message = str(caught.value)
    assert "b.png" in message
    assert "8 (3 pixels), 256 (1 pixels)" in message
    assert "known values are 0, 7, 300" in message
    assert "dataset.yaml" in message


def test_a_negative_value_is_no_class() -> None:
    with pytest.raises(InputError, match=r"-1 \(1 pixels\)"):
        map_values(np.array([[-1]], np.int32), LABELS, Path("a.png"))


def test_of_many_unmapped_values_five_are_shown() -> None:
    values = np.arange(100, 112, dtype=np.int32)[None]
    with pytest.raises(InputError, match=r"104 .*and 7 more are no class"):
        map_values(values, LABELS, Path("a.png"))
