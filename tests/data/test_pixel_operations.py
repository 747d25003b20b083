"""Crops of any number of bands, of bytes and of float32 values."""

import cv2
import numpy as np
import pytest

from dualseg.data.loading.transforms import Window, cut, random_crop
from dualseg.data.pictures.pixel_operations import change_colors, mean_color, mirror, resize

BANDS = (1, 2, 3, 4, 5, 13)


def _image(bands: int, dtype: type) -> np.ndarray:
    values = np.random.default_rng(0).uniform(0, 255, (40, 50, bands))
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("bands", BANDS)
@pytest.mark.parametrize("size", [(20, 30), (80, 90), (7, 9), (1, 1)])
@pytest.mark.parametrize("method", [cv2.INTER_LINEAR, cv2.INTER_AREA])
def test_bands_are_resized_as_each_alone(
    dtype: type, bands: int, size: tuple[int, int], method: int
) -> None:
    image = _image(bands, dtype)
    resized = resize(image, size, method)
    assert resized.shape == (*size, bands)
    for band in range(bands):
        alone = cv2.resize(np.ascontiguousarray(image[..., band]), size[::-1], interpolation=method)
        np.testing.assert_allclose(resized[..., band], alone, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("bands", BANDS)
def test_a_mirror_turns_the_columns_round(dtype: type, bands: int) -> None:
    image = _image(bands, dtype)
    assert np.array_equal(mirror(image), image[:, ::-1])


@pytest.mark.parametrize("bands", BANDS)
def test_padding_has_the_mean_of_each_band(bands: int) -> None:
    image = _image(bands, np.float32)
    expected = image.mean(axis=(0, 1), dtype=np.float64)
    np.testing.assert_allclose(mean_color(image), expected, rtol=1e-6)
    window = Window(0, 0, 40, 50, (40, 50), (10, 0))
    padded, ids = cut(image, np.zeros((40, 50), np.uint8), window, (60, 50))
    np.testing.assert_allclose(padded[0, 0], expected, rtol=1e-6)
    assert np.array_equal(padded[10:50], image)
    assert (ids[:10] == 255).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("bands", BANDS)
def test_a_crop_keeps_bands_and_type(dtype: type, bands: int) -> None:
    crop, ids = random_crop(
        _image(bands, dtype),
        np.zeros((40, 50), np.uint8),
        crop_size=(32, 64),
        scale_range=(0.5, 2.0),
        flip=True,
        photometric=0.3,
        random=np.random.default_rng(0),
        class_balance=0.5,
    )
    assert (crop.shape, crop.dtype, ids.shape) == ((32, 64, bands), dtype, (32, 64))


def test_deep_values_are_not_rounded_by_a_crop() -> None:
    image = _image(4, np.float32)
    window = Window(3, 4, 20, 30, (20, 30), (0, 0))
    crop, _ = cut(image, np.zeros((40, 50), np.uint8), window, (20, 30))
    assert np.array_equal(crop, image[3:23, 4:34])


@pytest.mark.parametrize("bands", BANDS)
def test_colours_change_by_the_same_factors_in_bytes_and_floats(bands: int) -> None:
    image = _image(bands, np.uint8) // 2 + 32  # nothing reaches 0 or 255
    in_bytes = change_colors(image, 0.1, np.random.default_rng(3))
    in_floats = change_colors(image.astype(np.float32), 0.1, np.random.default_rng(3))
    assert in_bytes.shape == in_floats.shape == image.shape
    assert np.abs(in_bytes - in_floats).max() < 0.7  # cv2 computes bytes with few digits
    assert not np.allclose(in_floats, image)


def test_a_gray_image_only_changes_in_brightness_and_contrast() -> None:
    """Saturation has no effect on one band: the change is one straight line of the values."""
    values = np.arange(0, 250, 10, dtype=np.float32).reshape(5, 5, 1)
    changed = change_colors(values, 0.5, np.random.default_rng(1))
    steps = np.diff(changed.ravel())
    np.testing.assert_allclose(steps, steps[0], rtol=1e-4)
