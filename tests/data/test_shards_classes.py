"""Classes of shards whose label values nobody explains: the rules of a folder of masks."""

from pathlib import Path

import numpy as np
import pytest
from pictures import save
from shard_files import image, png, write_tar

from dualseg.config import DataSettings
from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.catalog import Splits, open_dataset, open_splits
from dualseg.data.checking.checker import check_dataset
from dualseg.data.faults import DatasetError
from dualseg.data.shards.source import describe_shards

BUILDINGS = "class_names: [background, building]\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _values(*values: int) -> np.ndarray:
    return np.array([values, values], np.uint8)


def _shard(path: Path, *values: int) -> str:
    write_tar(path, {"a.jpg": png(image(0)), "a.seg.png": png(_values(*values))})
    return str(path)


def _both(folder: Path, *values: int, declared: str = "") -> Path:
    for split in ("train", "val"):
        _shard(folder / f"{split}-0.tar", *values)
    if declared:
        (folder / "dataset.yaml").write_text(declared)
    return folder


def _open(root: Path | str, **given: str) -> Splits:
    return open_splits(
        DataSettings.model_validate({"name": "shards", "root": str(root), "cache": "none"} | given)
    )


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        ("", (0, 255)),
        ("", (1, 2, 3)),
        (BUILDINGS, (0, 255)),
        (BUILDINGS, (0, 1, 255)),
        (BUILDINGS, (1, 2)),
        (BUILDINGS + "ignore_index: 255\n", (0, 255)),
        ("ignore_index: 0\n", (0, 1, 2)),
        ("palette: [[1, 2, 3], [4, 5, 6]]\n", (0, 1)),
    ],
)
def test_values_mean_in_shards_what_they_mean_in_a_folder(
    declared: str, values: tuple[int, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    for split in ("train", "val"):
        save(folder / f"images/{split}/a.png", image(0))
        save(folder / f"masks/{split}/a.png", _values(*values))
    (folder / "dataset.yaml").write_text(declared or "max_pixels: 1000\n")
    shards = _open(_both(tmp_path / "shards", *values, declared=declared))
    expected = open_splits(DataSettings(name="folder", root=str(folder), cache="none"))
    assert shards.train.labels == expected.train.labels
    told = [note for note in expected.notes if not note.startswith(("images", "palette: of"))]
    assert set(told) <= set(shards.notes)


def test_what_was_inferred_is_told_again_when_it_is_kept(tmp_path: Path) -> None:
    root = _both(tmp_path, 1, 2)
    first, again = _open(root), _open(root)
    assert again.notes == first.notes
    assert "label values: 1 to 2 become class ids from 0 on" in first.notes


def test_another_declaration_is_another_inference(tmp_path: Path) -> None:
    root = _both(tmp_path, 0, 1, 255)
    assert _open(root).train.labels.class_names == ("background", "foreground")
    (root / "dataset.yaml").write_text("class_names: [a, b, c]\n")
    assert _open(root).train.labels.class_names == ("a", "b", "c")


def test_splits_of_two_places_are_read_by_one_encoding(tmp_path: Path) -> None:
    train = _shard(tmp_path / "a/train-0.tar", 0, 1, 255)
    val = _shard(tmp_path / "b/val-0.tar", 0, 255)
    splits = _open(train, val_split=val)
    assert splits.train.labels == splits.val.labels
    assert dict(splits.val.labels.values) == {0: 0, 1: 1, 255: 255}


def test_a_class_that_one_of_two_places_lacks_is_no_reason_to_differ(tmp_path: Path) -> None:
    train = _shard(tmp_path / "a/train-0.tar", 0, 1, 2, 255)
    val = _shard(tmp_path / "b/val-0.tar", 1, 2)
    splits = _open(train, val_split=val)
    assert splits.train.labels.num_classes == 3
    assert splits.train.labels == splits.val.labels


def test_what_is_said_in_one_place_counts_in_the_other(tmp_path: Path) -> None:
    train = _shard(tmp_path / "a/train-0.tar", 0, 255)
    (tmp_path / "a/dataset.yaml").write_text(BUILDINGS)
    val = _shard(tmp_path / "b/val-0.tar", 0, 255)
    splits = _open(train, val_split=val)
    assert splits.val.labels == splits.train.labels
    alone = open_dataset("shards", root=train, split=val)
    assert dict(alone.labels.values) == {0: 0, 255: 1}


def test_other_classes_said_elsewhere_stay_apart(tmp_path: Path) -> None:
    train = _shard(tmp_path / "a/train-0.tar", 0, 1, 2)
    val = _shard(tmp_path / "b/val-0.tar", 0, 255)
    (tmp_path / "b/dataset.yaml").write_text(BUILDINGS)
    splits = _open(train, val_split=val)
    assert splits.train.labels.num_classes == 3
    assert dict(splits.val.labels.values) == {0: 0, 255: 1}


def test_a_palette_alone_recolours_the_network_s_classes(tmp_path: Path) -> None:
    labels = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)))
    root = _both(tmp_path, 0, 1, declared="palette: [[1, 2, 3], [4, 5, 6]]\n")
    found = describe_shards(str(root), labels).open("val").labels
    assert (found.class_names, found.palette) == (("a", "b"), ((1, 2, 3), (4, 5, 6)))


def test_an_ignored_value_among_the_classes_is_refused(tmp_path: Path) -> None:
    root = _both(tmp_path, 0, 1, 2, declared="ignore_index: 1\n")
    with pytest.raises(InputError, match="ignore_index 1 lies among the label values 0 to 2"):
        _open(root)


def test_snap_is_refused_since_labels_in_shards_are_read_as_they_are(tmp_path: Path) -> None:
    root = _both(tmp_path, 0, 255, declared="values: {0: 0, 255: 1}\nsnap: true\n")
    with pytest.raises(InputError, match="has snap; labels in shards are read as they are"):
        _open(root)


def test_labels_that_hold_no_ids_are_left_to_the_check_where_the_classes_are_named(
    tmp_path: Path,
) -> None:
    members = {"a.jpg": png(image(0)[:2, :2]), "a.seg.png": png(_values(0, 255))}
    for key, content in (("b", b"<html>"), ("c", png(image(3)))):
        members |= {f"{key}.jpg": png(image(0)), f"{key}.seg.png": content}
    for split in ("train", "val"):
        write_tar(tmp_path / f"{split}-0.tar", members)
    (tmp_path / "dataset.yaml").write_text(BUILDINGS)
    train = _open(tmp_path).train
    assert train.label_map(0).tolist() == [[0, 1], [0, 1]]
    with pytest.raises(DatasetError) as caught:
        check_dataset(train)
    assert [fault.code for fault in caught.value.faults] == ["E111", "E104"]
