from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from pictures import gray, save

from dualseg.config import DataSettings
from dualseg.core.errors import InputError
from dualseg.data.catalog import open_splits
from dualseg.data.datasets.folder import describe_folder
from dualseg.training.records.data_record import write_data_record


@pytest.mark.parametrize("row", [(0, 255), (1, 2, 3), (0, 1, 2, 255)])
def test_the_record_of_a_run_can_be_pasted_into_the_folder(
    tmp_path: Path, row: Sequence[int]
) -> None:
    root, run = tmp_path / "data", tmp_path / "run"
    run.mkdir()
    for name in ("a", "b"):
        save(root / f"images/{name}.png", gray(1, len(row)))
        save(root / f"masks/{name}.png", [list(row)])
    settings = DataSettings(name="folder", root=str(root))
    write_data_record(run, settings, open_splits(settings))
    before = describe_folder(root)
    (root / "dataset.yaml").write_bytes((run / "dataset.yaml").read_bytes())
    after = describe_folder(root)
    assert after.labels.to_dict() == before.labels.to_dict()
    assert after.open("val").label_map(0).tolist() == before.open("val").label_map(0).tolist()


def test_the_record_of_camvid_can_be_pasted_into_the_folder(tmp_path: Path) -> None:
    for split in ("train", "val"):
        save(tmp_path / split / "a.png", gray(1, 3))
        save(tmp_path / f"{split}annot" / "a.png", [[0, 10, 11]])
    (tmp_path / "train.txt").write_text("/SegNet/train/a.png /SegNet/trainannot/a.png\n")
    settings = DataSettings(name="folder", root=str(tmp_path))
    before = open_splits(settings)
    write_data_record(tmp_path, settings, before)
    after = open_splits(settings)
    assert after.train.labels.class_names == before.train.labels.class_names
    assert after.train.labels.palette == before.train.labels.palette
    assert after.val.label_map(0).tolist() == before.val.label_map(0).tolist() == [[0, 10, 255]]


def test_keys_of_a_record_alone_are_still_unknown(tmp_path: Path) -> None:
    save(tmp_path / "images/a.png", gray())
    save(tmp_path / "masks/a.png", gray())
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump({"notes": ["x"]}))
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert caught.value.problems[0].startswith("notes: unknown key")
