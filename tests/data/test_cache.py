import json
from pathlib import Path

import numpy as np
import pytest
from pictures import SquareDataset, gray, save

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.datasets.folder_labelme import LabelMeReader
from dualseg.data.labels.smeared_labels import ColorReader
from dualseg.data.loading import cache
from dualseg.data.loading.cache import CachedDataset, cached
from dualseg.data.loading.cache_stores import DiskStore, RamStore


def test_each_image_is_decoded_once() -> None:
    dataset = SquareDataset(3)
    remembered = CachedDataset(dataset, RamStore())
    for _ in range(3):
        assert np.array_equal(remembered.image(1), SquareDataset(3).image(1))
        assert np.array_equal(remembered.label_map(1), SquareDataset(3).label_map(1))
    assert (dataset.images_read, dataset.labels_read) == ([1], [1])


def test_the_cache_looks_like_its_data_set() -> None:
    dataset = SquareDataset(3)
    remembered = CachedDataset(dataset, RamStore())
    assert (len(remembered), remembered.name(2), remembered.split) == (3, "square_2", "train")
    assert remembered.labels is dataset.labels
    assert remembered.image_path(0) is None
    assert remembered.label_path(0) is None


def test_none_means_no_cache_and_ram_means_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", 1)
    dataset = SquareDataset(3)
    assert cached([dataset], "none") == (dataset,)
    assert [type(found) for found in cached([dataset, dataset], "ram")] == [CachedDataset] * 2


def test_auto_caches_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = SquareDataset(3, height=12, width=16)
    needed = 3 * 12 * 16 * 4  # three bytes of image and one of label a pixel
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", needed)
    assert isinstance(cached([dataset], "auto")[0], CachedDataset)
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", needed - 1)
    assert cached([dataset], "auto") == (dataset,)


def test_the_limit_holds_for_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    large, small, tiny = SquareDataset(3), SquareDataset(2), SquareDataset(1)
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", 4 * 12 * 16 * 4)  # four images
    found = cached([large, small, tiny], "auto")
    assert [type(dataset) for dataset in found] == [CachedDataset, SquareDataset, CachedDataset]


def test_the_size_is_read_from_a_header_and_damage_is_left_to_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = save(tmp_path / "cut.jpg", gray(64, 64))
    cut.write_bytes(cut.read_bytes()[:-20])
    empty = tmp_path / "empty.jpg"
    empty.touch()
    pairs = tuple(Pair(path.stem, path, path) for path in (empty, cut))
    dataset = FileDataset(pairs, LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9))), "train")
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", 2 * 4 * 64 * 64 - 1)
    assert cached([dataset], "auto") == (dataset,)
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", 2 * 4 * 64 * 64)
    assert isinstance(cached([dataset], "auto")[0], CachedDataset)


def test_an_empty_data_set_is_not_asked_for_an_image() -> None:
    dataset = SquareDataset(0)
    cached([dataset], "auto")
    assert dataset.images_read == []


def test_a_disk_cache_decodes_each_file_once_over_all_processes(tmp_path: Path) -> None:
    dataset = two_files(tmp_path)
    first = CachedDataset(dataset, DiskStore(dataset, tmp_path / "cache"))
    expected = first.image(1).copy(), first.label_map(1).copy()
    dataset.image = dataset.label_map = None  # type: ignore[assignment]
    again = CachedDataset(dataset, DiskStore(dataset, tmp_path / "cache"))
    assert isinstance(again.image(1), np.memmap)
    assert np.array_equal(again.image(1), expected[0])
    assert np.array_equal(again.label_map(1), expected[1])


def test_a_changed_file_is_decoded_anew(tmp_path: Path) -> None:
    dataset = two_files(tmp_path)
    remembered = CachedDataset(dataset, DiskStore(dataset, tmp_path / "cache"))
    before = remembered.image(0).copy()
    save(dataset.pairs[0].image, 255 - before)
    assert np.array_equal(remembered.image(0), 255 - before)


def test_other_classes_are_other_label_maps(tmp_path: Path) -> None:
    dataset = two_files(tmp_path)
    CachedDataset(dataset, DiskStore(dataset, tmp_path / "cache")).label_map(0)
    swapped = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)), {0: 1, 1: 0})
    other = FileDataset(dataset.pairs, swapped, "train")
    remembered = CachedDataset(other, DiskStore(other, tmp_path / "cache"))
    assert np.array_equal(remembered.label_map(0), 1 - dataset.label_map(0))


def test_other_colours_of_the_same_classes_are_other_label_maps(tmp_path: Path) -> None:
    dataset = two_files(tmp_path)
    red, blue = (200, 0, 0), (0, 0, 200)
    save(dataset.pairs[0].label, np.array([red, blue], np.uint8)[dataset.raw_values(0)])
    first, second = (
        FileDataset(dataset.pairs, dataset.labels, "train", read_values=ColorReader(colors, (0, 1)))
        for colors in ((red, blue), (blue, red))
    )
    for colored in (first, second):
        remembered = CachedDataset(colored, DiskStore(colored, tmp_path / "cache"))
        assert np.array_equal(remembered.label_map(0), colored.label_map(0))
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 2
    assert DiskStore(second, tmp_path / "cache").get(0, "label") is not None


def test_another_order_of_the_classes_that_are_drawn_is_another_label_map(tmp_path: Path) -> None:
    labelme = {"label": "cat", "points": [[0, 0], [3, 2]], "shape_type": "rectangle"}
    image = save(tmp_path / "a.png", gray(4, 6))
    (tmp_path / "a.json").write_text(json.dumps({"shapes": [labelme]}))
    pairs = (Pair("a", image, tmp_path / "a.json"),)
    for names in (("background", "cat", "dog"), ("background", "dog", "cat")):
        labels = LabelSpec(names, ((0, 0, 0), (9, 9, 9), (5, 5, 5)))
        drawn = FileDataset(pairs, labels, "train", read_values=LabelMeReader(names))
        remembered = CachedDataset(drawn, DiskStore(drawn, tmp_path / "cache"))
        assert remembered.label_map(0).max() == names.index("cat")


def test_a_damaged_cache_file_is_made_again(tmp_path: Path) -> None:
    dataset = two_files(tmp_path)
    remembered = CachedDataset(dataset, DiskStore(dataset, tmp_path / "cache"))
    expected = remembered.image(0).copy()
    for file in (tmp_path / "cache").rglob("*.npy"):
        file.write_bytes(file.read_bytes()[:200])
    assert np.array_equal(remembered.image(0), expected)


def test_drawn_data_has_nothing_to_keep_on_disk(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"drawn on the fly; use data\.cache=ram"):
        cached([SquareDataset(1)], "disk", tmp_path)


def two_files(folder: Path) -> FileDataset:
    random = np.random.default_rng(0)
    pairs = []
    for name in ("a", "b"):
        image = save(folder / f"{name}.png", random.integers(0, 255, (8, 9, 3), np.uint8))
        label = save(folder / f"{name}_mask.png", random.integers(0, 2, (8, 9), np.uint8))
        pairs.append(Pair(name, image, label))
    return FileDataset(tuple(pairs), LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9))), "train")
