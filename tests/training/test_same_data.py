"""A run is gone on with only where its labels mean what they meant."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from dualseg.config import DataSettings
from dualseg.core.errors import InputError
from dualseg.data.catalog import Splits, open_splits
from dualseg.training.records.data_record import require_same_data, write_data_record

RED, BLUE = [200, 0, 0], [0, 0, 200]
OF_IDS = {"class_names": ["a", "b"], "values": {3: 0, 7: 1}}
OF_COLORS = {
    "class_names": ["a", "b"],
    "colors": [{"color": RED, "class": "a"}, {"color": BLUE, "class": "b"}],
}


def folder(root: Path, declaration: dict, table: list) -> DataSettings:
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    ids = np.array([[0, 1, 1], [0, 0, 1]])
    for number in range(6):
        Image.fromarray(np.full((2, 3, 3), number, np.uint8)).save(root / f"images/{number}.png")
        Image.fromarray(np.array(table, np.uint8)[ids]).save(root / f"masks/{number}.png")
    return declare(root, declaration)


def declare(root: Path, declaration: dict) -> DataSettings:
    (root / "dataset.yaml").write_text(yaml.safe_dump(declaration))
    return DataSettings(root=str(root), cache="none")


def recorded(root: Path, settings: DataSettings) -> Splits:
    splits = open_splits(settings)
    write_data_record(root, settings, splits)
    return splits


@pytest.mark.parametrize(
    ("declared", "table", "changed", "key"),
    [
        (OF_IDS, [3, 7], {**OF_IDS, "values": {3: 1, 7: 0}}, "values"),
        (
            OF_COLORS,
            [RED, BLUE],
            {**OF_COLORS, "colors": [{"color": BLUE, "class": "a"}, {"color": RED, "class": "b"}]},
            "colors",
        ),
        ({**OF_COLORS, "snap": True}, [RED, BLUE], OF_COLORS, "snap"),
        ({**OF_COLORS, "channels": [3, 2, 1]}, [RED, BLUE], OF_COLORS, "channels"),
        (OF_COLORS, [RED, BLUE], {**OF_COLORS, "channels": [3, 2, 1]}, "channels"),
        (OF_IDS, [3, 7], {**OF_IDS, "max_value": 1000}, "max_value"),
    ],
)
def test_another_meaning_of_the_labels_or_bands_is_refused(tmp_path, declared, table, changed, key):
    root = tmp_path / "data"
    recorded(tmp_path, folder(root, declared, table))
    now = open_splits(declare(root, changed))
    with pytest.raises(InputError, match="the data set is not the one") as caught:
        require_same_data(tmp_path, now)
    assert [line.partition(":")[0] for line in caught.value.problems] == [key]


@pytest.mark.parametrize(("declared", "table"), [(OF_IDS, [3, 7]), (OF_COLORS, [RED, BLUE])])
def test_the_record_itself_put_into_the_folder_means_the_same(tmp_path, declared, table):
    root = tmp_path / "data"
    splits = recorded(tmp_path, folder(root, declared, table))
    require_same_data(tmp_path, splits)
    shutil.copy(tmp_path / "dataset.yaml", root / "dataset.yaml")
    require_same_data(tmp_path, open_splits(DataSettings(root=str(root), cache="none")))


def test_a_record_of_before_colours_were_recorded_is_gone_on_with(tmp_path):
    splits = recorded(tmp_path, folder(tmp_path / "data", OF_COLORS, [RED, BLUE]))
    record = yaml.safe_load((tmp_path / "dataset.yaml").read_text())
    del record["colors"]
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(record))
    require_same_data(tmp_path, splits)
