from pathlib import Path

import numpy as np
import pytest
from pictures import SquareDataset, gray, save

from dualseg.core.labels import LabelSpec
from dualseg.data import cache
from dualseg.data.cache import RamCache, cached
from dualseg.data.dataset import FileDataset, Pair


def test_each_image_is_decoded_once() -> None:
    dataset = SquareDataset(3)
    remembered = RamCache(dataset)
    for _ in range(3):
        assert np.array_equal(remembered.image(1), SquareDataset(3).image(1))
        assert np.array_equal(remembered.label_map(1), SquareDataset(3).label_map(1))
    assert (dataset.images_read, dataset.labels_read) == ([1], [1])


def test_the_cache_looks_like_its_data_set() -> None:
    dataset = SquareDataset(3)
    remembered = RamCache(dataset)
    assert (len(remembered), remembered.name(2), remembered.split) == (3, "square_2", "train")
    assert remembered.labels is dataset.labels
    assert remembered.image_path(0) is None
    assert remembered.label_path(0) is None


def test_none_means_no_cache_and_ram_means_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", 1)
    dataset = SquareDataset(3)
    assert cached([dataset], "none") == (dataset,)
    assert [type(found) for found in cached([dataset, dataset], "ram")] == [RamCache] * 2


def test_auto_caches_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = SquareDataset(3, height=12, width=16)
    needed = 3 * 12 * 16 * 4  # three bytes of image and one of label a pixel
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", needed)
    assert isinstance(cached([dataset], "auto")[0], RamCache)
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", needed - 1)
    assert cached([dataset], "auto") == (dataset,)


def test_the_limit_holds_for_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    large, small, tiny = SquareDataset(3), SquareDataset(2), SquareDataset(1)
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", 4 * 12 * 16 * 4)  # four images
    found = cached([large, small, tiny], "auto")
    assert [type(dataset) for dataset in found] == [RamCache, SquareDataset, RamCache]


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
    assert isinstance(cached([dataset], "auto")[0], RamCache)


def test_an_empty_data_set_is_not_asked_for_an_image() -> None:
    dataset = SquareDataset(0)
    cached([dataset], "auto")
    assert dataset.images_read == []
