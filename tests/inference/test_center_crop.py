"""The middle of a resized image, and the same part of its label map."""

import numpy as np
import pytest

from dualseg.inference.center_crop import crop_center_image, crop_center_label_map


def test_nothing_is_resized_where_the_short_side_fits() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)
    label_map = image[..., 0]
    assert np.array_equal(crop_center_image(image, (6, 6)), image[:, 2:8])
    assert np.array_equal(crop_center_label_map(label_map, (6, 6)), label_map[:, 2:8])


def test_short_side_is_resized_to_the_crop() -> None:
    # 4 x 8 doubled is 8 x 16; the middle 8 x 8 are columns 2 to 5 of the label map, twice each.
    label_map = np.tile(np.arange(8, dtype=np.uint8), (4, 1))
    cropped = crop_center_label_map(label_map, (8, 8))
    assert cropped[0].tolist() == [2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("size", [(5, 7), (64, 64), (30, 11)])
@pytest.mark.parametrize("shape", [(40, 60), (61, 33)])
def test_image_and_label_map_stay_together(size: tuple[int, int], shape: tuple[int, int]) -> None:
    label_map = np.zeros(shape, np.uint8)
    label_map[:, shape[1] // 2 :] = 1
    image = np.repeat(label_map[..., None] * 255, 3, axis=2)
    cropped = crop_center_label_map(label_map, size)
    seen = crop_center_image(image, size)
    assert cropped.shape == size
    assert seen.shape == (*size, 3)
    wrong = (seen[..., 0] > 127) != (cropped == 1)
    assert wrong.mean() <= 1 / size[1]  # at most the column at the edge


def test_label_ids_are_never_mixed() -> None:
    label_map = np.random.default_rng(1).choice(np.array([0, 200, 255], np.uint8), (37, 41))
    assert set(np.unique(crop_center_label_map(label_map, (16, 20)))) <= {0, 200, 255}


def test_bands_and_types_are_kept() -> None:
    image = np.random.default_rng(2).random((20, 30, 5)).astype(np.float32)
    assert crop_center_image(image, (8, 8)).shape == (8, 8, 5)
    assert crop_center_image(image[..., :1], (40, 40)).shape == (40, 40, 1)
    assert crop_center_image(image, (8, 8)).dtype == np.float32
