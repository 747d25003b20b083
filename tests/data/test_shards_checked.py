"""A split in shards is checked, cached on disk and searched for leaks as one in files."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shard_files import image, label, pairs, png, write_tar

from dualseg.data.checking.check_warnings import duplicate_warnings
from dualseg.data.checking.checker import check_dataset
from dualseg.data.faults import DatasetError
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.loading.cache_stores import DiskStore, RamStore
from dualseg.data.shards.reader import ShardDataset
from dualseg.data.shards.source import describe_shards


def _open(folder: Path, members: dict[str, bytes], split: str = "train") -> ShardDataset:
    write_tar(folder / f"{split}-0.tar", members)
    (folder / "dataset.yaml").write_text("class_names: [a, b, c]\n")
    return describe_shards(str(folder)).open(split)


def test_every_fault_has_its_code_and_names_the_member(tmp_path: Path) -> None:
    faulty = {
        "size": (png(image(1)), png([[0, 1]])),
        "page": (b"<html>", png(label(1))),
        "value": (png(image(2)), png(np.full((4, 6), 9))),
        "colour": (png(image(2)), png(image(1))),
    }
    members = {}
    for key, (picture, mask) in faulty.items():
        members |= {f"{key}.jpg": picture, f"{key}.seg.png": mask}
    with pytest.raises(DatasetError) as caught:
        check_dataset(_open(tmp_path, members), records=tmp_path / "records")
    shard = f"{tmp_path}/train-0.tar"
    assert {fault.code: fault.file for fault in caught.value.faults} == {
        "E101": f"{shard}/size.jpg",
        "E111": f"{shard}/page.jpg",
        "E103": f"{shard}/value.seg.png",
        "E104": f"{shard}/colour.seg.png",
    }
    assert "9 (24 pixels)" in str(caught.value)


def test_a_shard_that_was_checked_is_not_decoded_again_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualseg.data.checking.check_records.SECONDS_WORTH_RECORDING", 0.0)
    dataset, records = _open(tmp_path, pairs(5)), tmp_path / "records"
    first = check_dataset(dataset, records=records)
    assert first.pixels_per_class[0] > 0
    with monkeypatch.context() as patched:
        patched.setattr(ShardDataset, "_read", None)
        assert check_dataset(dataset, records=records) == first
        os.utime(tmp_path / "train-0.tar", ns=(1, 1))
        with pytest.raises(TypeError):
            check_dataset(dataset, records=records)


@pytest.mark.parametrize(("label_turn", "warned"), [(1, True), (3, False)])
def test_an_image_that_exif_turns_without_its_label_is_named(
    label_turn: int, warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualseg.data.checking.check_records.SECONDS_WORTH_RECORDING", 0.0)
    members = pairs(5) | {"t.png": _turned(image(1), 3), "t.seg.png": _turned(label(1), label_turn)}
    dataset = _open(tmp_path, members)
    for _ in ("decoded", "from the records"):
        found = check_dataset(dataset, records=tmp_path / "records").warnings
        assert [w.found for w in found if w.code == "W207"] == (
            ["has 1 image that EXIF turns, and not their labels: t"] if warned else []
        )


def _turned(values: np.ndarray, orientation: int) -> bytes:
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(values).save(stream, format="PNG", exif=exif)
    return stream.getvalue()


def test_a_cache_in_memory_is_filled_by_the_check(tmp_path: Path) -> None:
    cache = CachedDataset(_open(tmp_path, pairs(3)), RamStore())
    check_dataset(cache, records=tmp_path / "records")
    kept = cache.store.get(2, "image")
    assert kept is not None
    assert kept.tolist() == image(2).tolist()


def test_decoded_pixels_are_kept_on_disk_until_the_shard_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = _open(tmp_path, pairs(2))
    cache = CachedDataset(dataset, DiskStore(dataset, tmp_path / "cache"))
    cache.image(1)
    cache.label_map(1)
    with monkeypatch.context() as patched:
        patched.setattr(ShardDataset, "_read", None)
        assert cache.image(1).tolist() == image(1).tolist()
        assert cache.label_map(1).tolist() == label(1).tolist()
        with pytest.raises(TypeError):
            cache.image(0)
    os.utime(tmp_path / "train-0.tar", ns=(1, 1))
    again = describe_shards(str(tmp_path)).open("train")
    assert DiskStore(again, tmp_path / "cache").get(1, "image") is None


def test_images_in_two_splits_and_twice_in_one_are_told(tmp_path: Path) -> None:
    once = pairs(3)
    train = _open(tmp_path, once | {"x.jpg": once["0000.jpg"], "x.seg.png": once["0000.seg.png"]})
    val = _open(tmp_path, {f"v{name}": data for name, data in pairs(1, first=1).items()}, "val")
    found = duplicate_warnings(CachedDataset(train, RamStore()), val)
    assert [warning.code for warning in found] == ["W203", "W204"]
    assert f"{tmp_path}/train-0.tar/0001.jpg = {tmp_path}/val-0.tar/v0001.jpg" in found[0].found
    assert f"{tmp_path}/train-0.tar/0000.jpg = {tmp_path}/train-0.tar/x.jpg" in found[1].found
