"""Every published data set goes into every format that can hold it, and comes back."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dualseg.core.errors import InputError
from dualseg.core.labels import IGNORE_INDEX
from dualseg.data.catalog import open_dataset
from dualseg.data.convert.convert import FORMATS, convert_dataset
from dualseg.data.dataset import SegmentationDataset
from official_trees import TREES

GENERAL = ("masks", "voc", "coco", "labelme", "cvat")
SPECIAL = sorted(set(FORMATS) - set(GENERAL))


def _maps(dataset: SegmentationDataset) -> list[bytes]:
    return sorted(dataset.label_map(index).tobytes() for index in range(len(dataset)))


def _refused(name: str, form: str, dataset: SegmentationDataset) -> bool:
    """What a format cannot hold: ignored pixels, equal colours, other classes or images."""
    ignores = any(
        IGNORE_INDEX in np.unique(dataset.label_map(index)) for index in range(len(dataset))
    )
    palette = dataset.labels.palette
    return {
        "yolo": ignores,
        "colors": len(set(palette)) < len(palette),
        "cityscapes": name != "cityscapes",
    }.get(form, False)


@pytest.mark.parametrize("name", TREES)
def test_label_maps_come_back(tmp_path: Path, name: str) -> None:
    before = open_dataset(name, root=TREES[name](tmp_path / "in"), split="train")
    for form in _formats(name):
        if _refused(name, form, before):
            with pytest.raises(InputError):
                convert_dataset([before], form, tmp_path / form)
            continue
        convert_dataset([before], form, tmp_path / form)
        kind = "cityscapes" if form == "cityscapes" else "folder"
        # A folder without val has a part of train held out.
        splits = ["train"] if form == "cityscapes" else ["train", "val"]
        after = [open_dataset(kind, root=tmp_path / form, split=split) for split in splits]
        assert sorted(text for dataset in after for text in _maps(dataset)) == _maps(before)
        assert after[0].labels.class_names == before.labels.class_names
        assert after[0].labels.palette == before.labels.palette


def _formats(name: str) -> Iterator[str]:
    yield from GENERAL
    yield from SPECIAL if name in ("cityscapes", "coco", "ade20k") else ()
