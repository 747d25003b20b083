"""What is looked at before a run begins."""

from pathlib import Path

import numpy as np
from PIL import Image

from dualseg.core.labels import LabelSpec
from dualseg.data.catalog import Splits
from dualseg.data.dataset import FileDataset, Pair
from dualseg.training.preflight import check_data
from dualseg.training.progress import Silent


class _Heard(Silent):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def _split(folder: Path, name: str, values: dict[int, int]) -> FileDataset:
    pair = Pair(name, folder / f"{name}.png", folder / f"{name}_mask.png")
    Image.new("RGB", (2, 2), (len(name), 0, 0)).save(pair.image)
    Image.fromarray(np.array([list(values)[:2]] * 2, np.uint8)).save(pair.label)
    labels = LabelSpec(("ground", "house"), ((0, 0, 0), (9, 9, 9)), values)
    return FileDataset((pair,), labels, name)


def _heard(tmp_path: Path, train: dict[int, int], val: dict[int, int]) -> list[str]:
    heard = _Heard()
    splits = Splits(_split(tmp_path, "train", train), _split(tmp_path, "val", val))
    check_data(splits, heard)
    return heard.messages


def test_a_label_value_that_means_something_else_in_val_is_a_warning(tmp_path: Path) -> None:
    assert _heard(tmp_path, {0: 0, 1: 1, 255: 255}, {0: 0, 255: 1}) == [
        "warning: label value 255 is ignored in train, but house in val; see the dataset.yaml of "
        "each"
    ]


def test_values_that_do_not_contradict_each_other_are_no_warning(tmp_path: Path) -> None:
    assert _heard(tmp_path, {0: 0, 1: 1}, {0: 0, 7: 1}) == []
