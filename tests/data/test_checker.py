from pathlib import Path

import pytest
from pictures import SquareDataset, gray, save
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.checking.checker import check_dataset
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.faults import DatasetError
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.loading.cache_stores import RamStore

LABELS = LabelSpec(("a", "b", "c"), ((0, 0, 0), (9, 9, 9), (5, 5, 5)))
SIX = [[0, 0, 1], [1, 1, 255]]


def _pair(folder: Path, name: str, label: list[list[int]], size: tuple[int, int] = (2, 3)) -> Pair:
    image = save(folder / f"{name}.jpg", gray(*size))
    return Pair(name, image, save(folder / f"{name}.png", label))


def test_a_clean_data_set_is_summed_up(tmp_path: Path) -> None:
    pairs = (_pair(tmp_path, "x", SIX), _pair(tmp_path, "y", SIX))
    summary = check_dataset(FileDataset(pairs, LABELS, "train"))
    assert summary.num_images == 2
    assert summary.pixels_per_class == (4, 6, 0)
    assert summary.ignored_share == pytest.approx(2 / 12)
    assert summary.sizes == {(2, 3): 2}
    assert summary.kinds == {"RGB": 2}
    assert list(map(str, summary.warnings)) == [
        "W201 train has no pixel of: c; add images that show them"
    ]


def test_much_ignored_is_a_warning(tmp_path: Path) -> None:
    pairs = (_pair(tmp_path, "x", [[0, 1, 2], [255, 255, 255], [255, 255, 255]], (3, 3)),)
    summary = check_dataset(FileDataset(pairs, LABELS, "train"))
    assert [warning.code for warning in summary.warnings] == ["W202"]
    assert "train has 67 % of all pixels ignored" in str(summary.warnings[0])
    assert not check_dataset(FileDataset(pairs, LABELS, "train"), much_ignored=0.7).warnings


def test_all_kinds_of_faults_are_listed_at_once(tmp_path: Path) -> None:
    unreadable = _pair(tmp_path, "cut", SIX)
    unreadable.label.write_bytes(unreadable.label.read_bytes()[:30])
    no_picture = _pair(tmp_path, "both", SIX)
    no_picture.image.write_bytes(b"")
    no_picture.label.write_bytes(b"")
    pairs = (
        _pair(tmp_path, "good", SIX),
        unreadable,
        no_picture,
        _pair(tmp_path, "small", [[0, 1]]),
        _pair(tmp_path, "turned", [[0, 1], [0, 1], [0, 1]]),
        _pair(tmp_path, "unknown", [[0, 9, 9], [9, 0, 0]]),
    )
    with pytest.raises(InputError) as caught:
        check_dataset(FileDataset(pairs, LABELS, "val"))
    assert caught.value.headline == "the split 'val' has faults:"
    small, turned, unknown, cut, no_image, no_label = caught.value.problems
    assert "cut.png" in cut
    assert "both.jpg" in no_image
    assert "both.png" in no_label
    assert "small.jpg is 2x3" in small
    assert "small.png is 1x2; expected both of one size; make them equal" in small
    assert "90 degrees" in turned
    assert "unknown.png holds label values 9 (3 pixels) that are no class" in unknown


def test_of_many_faults_five_are_shown_with_their_number(tmp_path: Path) -> None:
    pairs = tuple(_pair(tmp_path, f"x{index}", [[0, 1]]) for index in range(7))
    with pytest.raises(DatasetError) as caught:
        check_dataset(FileDataset(pairs, LABELS, "train"))
    assert len(caught.value.problems) == 6
    assert caught.value.problems[-1] == "... and 2 more E101: image and label differ in size"
    assert len(caught.value.faults) == 7


def test_an_image_cut_off_behind_its_header_is_found(tmp_path: Path) -> None:
    pair = _pair(tmp_path, "x", [[0] * 64] * 64, (64, 64))
    whole = pair.image.read_bytes()
    pair.image.write_bytes(whole[:-20])
    with Image.open(pair.image) as picture:
        assert picture.size == (64, 64)  # the header tells nothing
    with pytest.raises(InputError) as caught:
        check_dataset(FileDataset((pair,), LABELS, "train"))
    assert "x.jpg cannot be read as image" in caught.value.problems[0]


def test_progress_is_told_every_image() -> None:
    seen: list[tuple[int, int]] = []
    check_dataset(SquareDataset(2), progress=lambda *args: seen.append(args))
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_what_was_checked_is_kept_by_the_cache(tmp_path: Path) -> None:
    pair = _pair(tmp_path, "x", SIX)
    dataset = FileDataset((pair,), LABELS, "train")
    image = dataset.image(0)
    cache = CachedDataset(dataset, RamStore())
    check_dataset(cache)
    pair.image.unlink()
    pair.label.unlink()
    assert cache.image(0).tolist() == image.tolist()
    assert cache.label_map(0).tolist() == SIX


def test_generated_data_is_drawn_once_for_check_and_cache() -> None:
    dataset = SquareDataset(2)
    cache = CachedDataset(dataset, RamStore())
    check_dataset(cache)
    cache.image(1)
    cache.label_map(1)
    assert dataset.images_read == dataset.labels_read == [0, 1]


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(InputError, match="'train' holds no image"):
        check_dataset(FileDataset((), LABELS, "train"))


def test_generated_data_is_counted_too() -> None:
    summary = check_dataset(SquareDataset(2, height=4, width=8))
    assert summary.pixels_per_class == (48, 16)  # a 2x4 square in each of two 4x8 images


def test_files_behind_a_cache_are_checked_as_files(tmp_path: Path) -> None:
    dataset = FileDataset((_pair(tmp_path, "x", [[0, 1]]),), LABELS, "train")
    with pytest.raises(InputError, match="make them equal"):
        check_dataset(CachedDataset(dataset, RamStore()))
