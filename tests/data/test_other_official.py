"""Mapillary Vistas, ADE20K, Inria and PASCAL Context."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dualseg.core.errors import InputError
from dualseg.data.datasets.ade20k import ADE20K_LABELS, open_ade20k
from dualseg.data.datasets.inria import INRIA_LABELS, open_inria
from dualseg.data.datasets.mapillary import open_mapillary, read_config
from dualseg.data.datasets.pascal_context import open_pascal_context
from official_trees import (
    label,
    make_ade20k,
    make_inria,
    make_mapillary,
    make_pascal_context,
    save_json,
    save_label,
    save_lines,
    vistas_config,
)


def test_vistas_classes_come_from_its_configuration(tmp_path: Path) -> None:
    dataset = open_mapillary(make_mapillary(tmp_path), "train")
    assert dataset.labels.class_names == ("Bird", "Curb", "Sky")
    assert dataset.labels.palette[2] == (70, 130, 180)
    assert dataset.label_map(0)[0, 0] == 0
    assert dataset.label_map(0)[15, 0] == 255  # "Unlabeled" is not evaluated
    assert len(open_mapillary(tmp_path, "val")) == 2


def test_both_versions_of_vistas_are_read(tmp_path: Path) -> None:
    dataset = open_mapillary(make_mapillary(tmp_path), "train", version="v2.0")
    names = dataset.labels.class_names
    assert (names[dataset.label_map(0)[0, 0]], names[dataset.label_map(0)[15, 0]]) == (
        "Curb",
        "Sky",
    )
    with pytest.raises(InputError, match=r"no version v3; use v1\.2 or v2\.0"):
        open_mapillary(tmp_path, "train", version="v3")


def _older(root: Path) -> Path:
    """The download that holds one version: labels beside images, config.json."""
    make_mapillary(root)
    (root / "config_v1.2.json").rename(root / "config.json")
    for folder in ("training", "validation"):
        (root / folder / "v1.2" / "labels").rename(root / folder / "labels")
    return root


def test_the_older_layout_of_vistas_is_read(tmp_path: Path) -> None:
    assert open_mapillary(_older(tmp_path), "train").label_map(0)[0, 0] == 0


def test_instances_stand_in_for_labels(tmp_path: Path) -> None:
    root = _older(tmp_path)
    for path in list((root / "training" / "labels").iterdir()):
        save_label(
            root / "training" / "instances" / path.name, label(3 * 256 + 7, 2 * 256, np.uint16)
        )
    shutil.rmtree(root / "training" / "labels")
    label_map = open_mapillary(root, "train").label_map(0)
    assert (label_map[0, 0], label_map[15, 0]) == (2, 255)


def test_vistas_names_that_stand_twice_are_written_in_full(tmp_path: Path) -> None:
    config = vistas_config()
    config["labels"][1]["readable"] = "Bird"  # type: ignore[index]
    names = read_config(save_json(tmp_path / "config.json", config)).class_names
    assert names == ("animal--bird", "construction--barrier--curb", "nature--sky")


@pytest.mark.parametrize("content", [[], {"labels": [{"name": "a"}]}, {"labels": 3}])
def test_a_faulty_configuration_is_named(tmp_path: Path, content: object) -> None:
    path = save_json(tmp_path / "config.json", content)
    with pytest.raises(InputError, match=r"config\.json is no configuration of Mapillary"):
        read_config(path)


def test_a_missing_configuration_is_explained(tmp_path: Path) -> None:
    root = make_mapillary(tmp_path)
    (root / "config_v2.0.json").unlink()
    with pytest.raises(InputError, match=r"no config_v2\.0\.json in .*mapillary\.com/dataset"):
        open_mapillary(root, "train", version="v2.0")


def test_ade_ids_are_one_lower_and_zero_is_ignored(tmp_path: Path) -> None:
    dataset = open_ade20k(make_ade20k(tmp_path), "train")
    assert dataset.label_map(0)[0, 0] == 149
    assert dataset.label_map(0)[15, 0] == 255
    assert dataset.labels.class_names[149] == "flag"
    assert dataset.labels.num_classes == 150
    assert [dataset.name(0), len(open_ade20k(tmp_path, "val"))] == ["ADE_train_00000001", 2]


def test_ade_names_are_those_of_the_releases_list(tmp_path: Path) -> None:
    home = make_ade20k(tmp_path) / "ADEChallengeData2016"
    rows = [f"{i}\t0.1\t1\t1\tclass {i}, other word" for i in range(1, 151)]
    save_lines(home / "objectInfo150.txt", ["Idx\tRatio\tTrain\tVal\tName", *rows])
    assert open_ade20k(home, "val").labels.class_names[:2] == ("class 1", "class 2")
    save_lines(home / "objectInfo150.txt", ["Idx\tRatio\tTrain\tVal\tName", *rows[:7]])
    with pytest.raises(InputError, match="names 7 classes in 7 rows, expected 150"):
        open_ade20k(home, "val")


def test_ade_colours_differ_but_for_one_pair_of_the_original() -> None:
    colors = dict(zip(ADE20K_LABELS.class_names, ADE20K_LABELS.palette, strict=True))
    assert len(set(colors.values())) == 149
    assert colors["road"] == colors["skyscraper"]


def test_ade_without_labels_is_explained(tmp_path: Path) -> None:
    home = make_ade20k(tmp_path) / "ADEChallengeData2016"
    shutil.rmtree(home / "annotations")
    with pytest.raises(InputError, match=r"no annotations/training in .*ADEChallengeData2016\.zip"):
        open_ade20k(tmp_path, "train")


def test_the_first_five_tiles_of_each_inria_region_are_val(tmp_path: Path) -> None:
    root = make_inria(tmp_path)
    splits = {split: open_inria(root, split) for split in ("train", "val")}
    names = {split: [d.name(i) for i in range(len(d))] for split, d in splits.items()}
    assert names == {"train": ["austin6", "austin12", "tyrol-w36"], "val": ["austin1", "tyrol-w5"]}


def test_inria_buildings_are_255(tmp_path: Path) -> None:
    label_map = open_inria(make_inria(tmp_path) / "AerialImageDataset", "val").label_map(0)
    assert (label_map[0, 0], label_map[15, 0]) == (1, 0)
    assert INRIA_LABELS.class_names == ("not building", "building")


def test_inria_test_tiles_have_no_labels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'test' is not opened: its labels are not public"):
        open_inria(make_inria(tmp_path), "test")
    with pytest.raises(InputError, match=r"no train/images, no train/gt in .*project\.inria\.fr"):
        open_inria(tmp_path / "AerialImageDataset" / "train", "train")


def test_context_has_59_classes_or_60_with_background(tmp_path: Path) -> None:
    root = make_pascal_context(tmp_path)
    without, with_background = (
        open_pascal_context(root, "train", background=background) for background in (False, True)
    )
    assert (without.labels.num_classes, with_background.labels.num_classes) == (59, 60)
    assert (without.label_map(0)[0, 0], with_background.label_map(0)[0, 0]) == (255, 0)
    assert (without.label_map(0)[15, 0], with_background.label_map(0)[15, 0]) == (58, 59)
    assert without.labels.class_names[58] == with_background.labels.class_names[59] == "wood"


def test_context_that_is_not_converted_is_explained(tmp_path: Path) -> None:
    root = make_pascal_context(tmp_path)
    shutil.rmtree(root / "VOCdevkit/VOC2010/SegmentationClassContext")
    with pytest.raises(InputError, match=r"no SegmentationClassContext in .*detail API"):
        open_pascal_context(root, "val")
