"""RUN/dataset.yaml: what was inferred of a folder, in a form that can be put into the folder."""

import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

from dualseg.config import DataSettings
from dualseg.data.catalog import open_splits

FAST = ("--set", "training.max_steps=1", "--set", "dsrl.enabled=false")
RED, BLUE = (200, 0, 0), (0, 0, 200)


def draw(folder, name, ids):
    """The mask of a street with other values or colours."""
    table = {
        "ids from 1": np.array([1, 2], np.uint8),
        "0 and 255": np.array([0, 255], np.uint8),
        "colours": np.array([RED, BLUE], np.uint8),
        "gray of three channels": np.array([[0] * 3, [255] * 3], np.uint8),
    }
    Image.fromarray(table[name][ids]).save(folder)


def described(root):
    splits = open_splits(DataSettings(root=str(root), cache="none"))
    return [
        (
            split.labels.class_names,
            split.labels.palette,
            [split.name(i) for i in range(len(split))],
            [split.label_map(i).tolist() for i in range(len(split))],
        )
        for split in (splits.train, splits.val)
    ]


@pytest.mark.parametrize("kind", ["0 and 255", "ids from 1", "colours", "gray of three channels"])
def test_the_record_put_into_the_folder_gives_the_same_data_set(
    dualseg, street, recipe, tmp_path, kind
):
    for mask in (street / "masks").iterdir():
        ids = (np.asarray(Image.open(mask)) > 0).astype(np.uint8)
        draw(mask, kind, ids)
    before = described(street)
    done = dualseg("train", recipe, "--data", street, *FAST, "--out", tmp_path / "run")
    assert done.code == 0, done.stderr
    shutil.copy(tmp_path / "run/dataset.yaml", street / "dataset.yaml")
    assert described(street) == before


def test_names_in_the_record_can_be_edited(dualseg, street, recipe, tmp_path):
    for mask in (street / "masks").iterdir():
        draw(mask, "colours", (np.asarray(Image.open(mask)) > 0).astype(np.uint8))
    done = dualseg("train", recipe, "--data", street, *FAST, "--out", tmp_path / "run")
    assert done.code == 0, done.stderr
    record = yaml.safe_load((tmp_path / "run/dataset.yaml").read_text())
    assert record["colors"] == [
        {"color": list(BLUE), "class": "rgb_0_0_200"},
        {"color": list(RED), "class": "rgb_200_0_0"},
    ]
    record["class_names"] = ["box", "ground"]
    record["colors"][0]["class"] = "box"
    record["colors"][1]["class"] = "ground"
    (street / "dataset.yaml").write_text(yaml.safe_dump(record))
    names, _, _, label_maps = described(street)[0]
    assert names == ("box", "ground")
    assert 0 < np.mean([np.mean(label_map) for label_map in label_maps]) < 1
