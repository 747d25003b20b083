import os
from pathlib import Path

import pytest
from pictures import gray, save

from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.checking import check_records, checker, mask_facts
from dualseg.data.checking.check_records import default_records_folder
from dualseg.data.checking.checker import DatasetSummary, check_dataset
from dualseg.data.checking.mask_facts import scan_masks
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.faults import DatasetError
from dualseg.data.labels.label_counts import count_classes
from dualseg.data.labels.smeared_labels import ColorReader
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.loading.cache_stores import RamStore

LABELS = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)))


@pytest.fixture(autouse=True)
def _always_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_records, "SECONDS_WORTH_RECORDING", 0.0)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that were decoded, in any order."""
    seen: list[str] = []
    inspect = checker.inspect_image

    def noted(path: Path, images: ImageSpec):
        seen.append(path.stem)
        return inspect(path, images)

    monkeypatch.setattr(checker, "inspect_image", noted)
    return seen


def _pairs(folder: Path) -> tuple[Pair, ...]:
    return tuple(
        Pair(name, save(folder / f"{name}.jpg", gray(2, 3)), save(folder / f"{name}.png", ids))
        for name, ids in (("x", [[0, 0, 1], [1, 1, 255]]), ("y", [[0] * 3] * 2))
    )


def _check(pairs: tuple[Pair, ...], folder: Path, labels: LabelSpec = LABELS) -> DatasetSummary:
    return check_dataset(FileDataset(pairs, labels, "train"), records=folder / "checks")


def test_what_has_not_changed_is_not_decoded_again(tmp_path: Path, decoded: list[str]) -> None:
    pairs = _pairs(tmp_path)
    first = _check(pairs, tmp_path)
    assert sorted(decoded) == ["x", "y"]
    assert _check(pairs, tmp_path) == first
    assert sorted(decoded) == ["x", "y"]


def test_a_changed_label_or_image_is_checked_anew_alone(tmp_path: Path, decoded: list[str]) -> None:
    pairs = _pairs(tmp_path)
    _check(pairs, tmp_path)
    decoded.clear()
    save(pairs[0].label, [[0, 0, 7], [1, 1, 255]])  # of the same length
    with pytest.raises(DatasetError, match=r"E103 .*x\.png holds label values 7"):
        _check(pairs, tmp_path)
    status = pairs[1].image.stat()
    os.utime(pairs[1].image, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    decoded.clear()
    with pytest.raises(DatasetError):
        _check(pairs, tmp_path)
    assert sorted(decoded) == ["x", "y"]  # a fault is never remembered


def test_another_meaning_of_the_values_needs_no_decoding(
    tmp_path: Path, decoded: list[str]
) -> None:
    pairs = _pairs(tmp_path)
    assert _check(pairs, tmp_path).pixels_per_class == (8, 3)
    turned = LabelSpec(LABELS.class_names, LABELS.palette, {0: 1, 1: 0, 255: 255})
    assert _check(pairs, tmp_path, turned).pixels_per_class == (3, 8)
    assert len(decoded) == 2
    with pytest.raises(DatasetError, match=r"E103 .*x\.png holds label values 1 \(3 pixels\)"):
        _check(pairs, tmp_path, LabelSpec(("a",), ((0, 0, 0),)))


def test_other_splits_of_the_same_files_know_them(tmp_path: Path, decoded: list[str]) -> None:
    pairs = _pairs(tmp_path)
    _check(pairs, tmp_path)
    check_dataset(FileDataset(pairs[1:], LABELS, "val"), records=tmp_path / "checks")
    assert len(decoded) == 2


def test_files_that_are_gone_leave_the_records(tmp_path: Path) -> None:
    pairs = _pairs(tmp_path)
    _check(pairs, tmp_path)
    (file,) = (tmp_path / "checks").iterdir()
    assert b"x.png" in file.read_bytes()
    pairs[0].label.unlink()
    save(pairs[1].label, [[1] * 3] * 2)
    _check(pairs[1:], tmp_path)
    assert b"x.png" not in file.read_bytes()
    assert b"x.jpg" in file.read_bytes()


def test_the_masks_a_folder_was_described_by_are_known_to_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = _pairs(tmp_path)
    scan_masks([pair.label for pair in pairs], records=tmp_path / "checks")
    read: list[Path] = []
    monkeypatch.setattr(mask_facts, "read_label_values", lambda path, **_: read.append(path))
    found = scan_masks([pair.label for pair in pairs], records=tmp_path / "checks")
    assert read == []
    assert [facts.counts for facts in found] == [{0: 2, 1: 3, 255: 1}, {0: 6}]


def test_readers_of_one_file_do_not_share_what_they_found(tmp_path: Path) -> None:
    image = save(tmp_path / "a.jpg", gray(1, 2))
    label = save(tmp_path / "a.png", [[[0, 0, 0], [200, 0, 0]]])
    for ids, pixels in (((0, 1), (1, 1)), ((1, 1), (0, 2))):
        reader = ColorReader(((0, 0, 0), (200, 0, 0)), ids)
        pair = Pair("a", image, label)
        dataset = FileDataset((pair,), LABELS, "train", read_values=reader)
        found = check_dataset(dataset, records=tmp_path / "checks")
        assert found.pixels_per_class == pixels


def test_classes_are_counted_without_decoding_what_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = _pairs(tmp_path)
    _check(pairs, tmp_path)
    dataset = FileDataset(pairs, LABELS, "train")
    monkeypatch.setattr(FileDataset, "raw_values", None)
    assert count_classes(dataset, records=tmp_path / "checks") == [{0: 2, 1: 3, 255: 1}, {0: 6}]


def test_a_file_more_leaves_the_others_known(tmp_path: Path, decoded: list[str]) -> None:
    pairs = _pairs(tmp_path)
    _check(pairs[:1], tmp_path)
    decoded.clear()
    _check(pairs, tmp_path)
    assert decoded == ["y"]


@pytest.mark.parametrize("position", range(0, 300, 11))
def test_a_damaged_record_is_no_record(tmp_path: Path, decoded: list[str], position: int) -> None:
    pairs = _pairs(tmp_path)
    first = _check(pairs, tmp_path)
    (file,) = (tmp_path / "checks").iterdir()
    content = bytearray(file.read_bytes())
    content[position % len(content)] ^= 1
    file.write_bytes(content)
    decoded.clear()
    assert _check(pairs, tmp_path) == first
    assert sorted(decoded) == ["x", "y"]


def test_without_records_nothing_is_written_or_read(tmp_path: Path, decoded: list[str]) -> None:
    dataset = FileDataset(_pairs(tmp_path), LABELS, "train")
    for _ in range(2):
        check_dataset(dataset, records=tmp_path / "checks", use_records=False)
    assert len(decoded) == 4
    assert not (tmp_path / "checks").exists()


def test_a_cache_in_memory_is_filled_all_the_same(tmp_path: Path) -> None:
    pairs = _pairs(tmp_path)
    _check(pairs, tmp_path)
    cache = CachedDataset(FileDataset(pairs, LABELS, "train"), RamStore())
    check_dataset(cache, records=tmp_path / "checks")
    assert cache.store.get(1, "image") is not None
    assert cache.store.get(1, "label") is not None


def test_a_cache_in_memory_is_not_waited_for(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = _pairs(tmp_path)
    first = _check(pairs, tmp_path)
    monkeypatch.setattr(checker, "FILLING_SECONDS", 0.0)
    cache = CachedDataset(FileDataset(pairs, LABELS, "train"), RamStore())
    assert check_dataset(cache, records=tmp_path / "checks") == first
    assert len(decoded) == 2
    assert cache.store.get(1, "image") is None
    assert cache.image(1).shape == (2, 3, 3)


def test_a_folder_that_cannot_be_made_does_not_stop_the_check(tmp_path: Path) -> None:
    (tmp_path / "checks").write_text("in the way")
    assert _check(_pairs(tmp_path), tmp_path).num_images == 2


def test_a_quick_check_is_not_worth_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_records, "SECONDS_WORTH_RECORDING", 1000.0)
    _check(_pairs(tmp_path), tmp_path)
    assert not (tmp_path / "checks").exists()


def test_records_lie_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_records_folder() == tmp_path / "dualseg" / "checks"
