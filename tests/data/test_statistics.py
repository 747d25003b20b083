import math

import numpy as np
import pytest
from pictures import SquareDataset

from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.labels.statistics import (
    class_shares,
    dataset_statistics,
    describe_sizes,
    inverse_log_weights,
    median_frequency_weights,
)

LABELS = LabelSpec(("road", "car", "train"), ((0, 0, 0), (9, 9, 9), (5, 5, 5)))


class TwoImages:
    """A 2x2 image of one colour and a 2x4 one of another."""

    labels = LABELS
    split = "train"
    pictures = (
        np.full((2, 2, 3), (0, 51, 255), np.uint8),
        np.full((2, 4, 3), (102, 51, 0), np.uint8),
    )
    label_maps = (
        np.array([[0, 0], [1, 255]], np.uint8),
        np.array([[0, 0, 0, 0], [0, 0, 255, 255]], np.uint8),
    )

    def __len__(self):
        return 2

    def image(self, index):
        return self.pictures[index]

    def label_map(self, index):
        return self.label_maps[index]


def test_pixels_and_images_are_counted_for_each_class():
    found = dataset_statistics(TwoImages())
    assert found.pixels_per_class == (8, 1, 0)
    assert found.images_per_class == (2, 1, 0)
    assert found.ignored_pixels == 3
    assert found.sizes == {(2, 2): 1, (2, 4): 1}


def test_mean_and_deviation_are_those_of_all_pixels_together():
    # Red: 4 pixels of 0 and 8 of 0.4. Mean 0.8/3; variance 8/12 * 0.16 - mean^2.
    found = dataset_statistics(TwoImages())
    mean = 8 * 0.4 / 12
    assert found.mean == pytest.approx((mean, 0.2, 4 / 12))
    assert found.std[0] == pytest.approx(math.sqrt(8 / 12 * 0.16 - mean**2))
    assert found.std[1] == pytest.approx(0, abs=1e-6)


def test_weights_of_classes():
    found = dataset_statistics(TwoImages())
    assert inverse_log_weights(found)[0] == pytest.approx(1 / math.log(1.02 + 8 / 9))
    # Frequencies 8/9 and 1/9, median 1/2; a class without a pixel has no weight.
    assert median_frequency_weights(found) == pytest.approx((9 / 16, 4.5, 0))
    assert class_shares(found, LABELS)["car"] == pytest.approx(1 / 9)


def test_sizes_read_well():
    assert describe_sizes(dataset_statistics(TwoImages())) == "1 of 2x2, 1 of 2x4"
    assert describe_sizes(dataset_statistics(TwoImages()), most=1) == "1 of 2x2 and 1 more sizes"


def test_progress_is_told_of_every_image():
    told = []
    dataset_statistics(TwoImages(), progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_an_empty_split_is_refused():
    with pytest.raises(InputError, match="holds no image"):
        dataset_statistics(SquareDataset(0))


class FiveBands(TwoImages):
    """Floating-point values, a number for each band."""

    images = ImageSpec(channels=5, max_value=1)

    def image(self, index):
        return np.full((*self.label_maps[index].shape, 5), (0, 51, 102, 153, 255), np.float32)


def test_every_band_has_a_mean():
    found = dataset_statistics(FiveBands())
    assert found.mean == pytest.approx((0, 0.2, 0.4, 0.6, 1))
    assert found.std == pytest.approx((0,) * 5, abs=1e-6)
