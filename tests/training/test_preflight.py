"""What is looked at before a run begins."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dualseg.config import Recipe
from dualseg.core.labels import LabelSpec
from dualseg.data.catalog import Splits
from dualseg.data.dataset import FileDataset, Pair
from dualseg.training.preflight import check_data, fill_in_network
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


def _filled_in(**model: object) -> tuple[int | None, list[str]]:
    """The stride taken, and what was said."""
    told: list[str] = []
    recipe = Recipe.model_validate({"model": model, "training": {"max_steps": 1}})
    return fill_in_network(recipe, told.append).model.output_stride, told


@pytest.mark.parametrize(
    ("model", "stride"),
    [
        ({"name": "fcn"}, 16),
        ({"name": "pspnet", "backbone": "resnet18"}, 8),
        ({"name": "fcn", "backbone": "resnet18", "neck": "jpu"}, 32),
        ({"name": "fcn", "backbone": "resnet18", "output_stride": 8}, 8),
    ],
)
def test_the_output_stride_is_the_papers_or_the_one_given(
    model: dict[str, Any], stride: int
) -> None:
    assert _filled_in(**model) == (stride, [])


def test_a_backbone_that_has_not_the_papers_output_stride_takes_its_own_and_says_so() -> None:
    told = ["output stride 8: drn_d_22 cannot run at 32, bisenet's"]
    assert _filled_in(name="bisenet", backbone="drn_d_22") == (8, told)
