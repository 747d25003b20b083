import os
from pathlib import Path

import pytest
from pictures import gray, save

from dualseg.core.labels import LabelSpec
from dualseg.data import checker
from dualseg.data.cache import CachedDataset
from dualseg.data.cache_stores import RamStore
from dualseg.data.check_records import default_records_folder
from dualseg.data.checker import DatasetSummary, check_dataset
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.faults import DatasetError

LABELS = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)))


@pytest.fixture(autouse=True)
def _always_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "SECONDS_WORTH_RECORDING", 0.0)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that were decoded, in any order."""
    seen: list[str] = []
    inspect = checker.inspect_image

    def noted(path: Path):
        seen.append(path.stem)
        return inspect(path)

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


def test_another_meaning_of_the_values_is_another_check(tmp_path: Path, decoded: list[str]) -> None:
    pairs = _pairs(tmp_path)
    assert _check(pairs, tmp_path).pixels_per_class == (8, 3)
    turned = LabelSpec(LABELS.class_names, LABELS.palette, {0: 1, 1: 0, 255: 255})
    assert _check(pairs, tmp_path, turned).pixels_per_class == (3, 8)
    assert len(decoded) == 4


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


def test_a_cache_in_memory_is_filled_all_the_same(tmp_path: Path, decoded: list[str]) -> None:
    pairs = _pairs(tmp_path)
    _check(pairs, tmp_path)
    cache = CachedDataset(FileDataset(pairs, LABELS, "train"), RamStore())
    check_dataset(cache, records=tmp_path / "checks")
    assert len(decoded) == 4
    assert cache.store.get(1, "image") is not None


def test_a_folder_that_cannot_be_made_does_not_stop_the_check(tmp_path: Path) -> None:
    (tmp_path / "checks").write_text("in the way")
    assert _check(_pairs(tmp_path), tmp_path).num_images == 2


def test_a_quick_check_is_not_worth_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checker, "SECONDS_WORTH_RECORDING", 1000.0)
    _check(_pairs(tmp_path), tmp_path)
    assert not (tmp_path / "checks").exists()


def test_records_lie_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_records_folder() == tmp_path / "dualseg" / "checks"
