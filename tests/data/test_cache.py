import numpy as np
import pytest
from pictures import SquareDataset

from dualseg.data import cache
from dualseg.data.cache import RamCache, cached


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
    assert cached(dataset, "none") is dataset
    assert isinstance(cached(dataset, "ram"), RamCache)


def test_auto_caches_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = SquareDataset(3, height=12, width=16)
    needed = 3 * 12 * 16 * 4  # three bytes of image and one of label a pixel
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", needed)
    assert isinstance(cached(dataset, "auto"), RamCache)
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", needed - 1)
    assert cached(dataset, "auto") is dataset


def test_an_empty_data_set_is_not_asked_for_an_image() -> None:
    dataset = SquareDataset(0)
    assert cached(dataset, "auto") is dataset
    assert dataset.images_read == []
