"""Images of more than eight bits a channel: scaled by a declared maximum, never clipped."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import gray, save
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.data.pictures.bands import pixels_of_picture, read_pixels
from dualseg.data.pictures.images import inspect_image, read_image

DEEP = np.array([[[0, 257, 65535], [1285, 25700, 40000]]] * 2, np.uint16)  # 257 = 1 of 255
SCALED = np.array([[[0, 1, 255], [5, 100, 40000 / 257]]] * 2, np.float32)
WHITE = ImageSpec(max_value=65535)


def _save_deep(path: Path, pixels: np.ndarray) -> Path:
    cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colours_of_16_bits_are_scaled_by_the_declared_maximum(tmp_path: Path, suffix: str) -> None:
    path = _save_deep(tmp_path / f"a.{suffix}", DEEP)
    read = read_pixels(path, WHITE)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, SCALED, rtol=1e-6)
    assert inspect_image(path).kind == "RGB;16"


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_all_65536_levels_stay_apart(tmp_path: Path, suffix: str) -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    read = read_pixels(_save_deep(tmp_path / f"a.{suffix}", levels), ImageSpec(1, max_value=65535))
    assert read.shape == (256, 256, 1)
    assert len(np.unique(read)) == 65536
    np.testing.assert_allclose(read[..., 0], levels * (255 / 65535), rtol=2e-7)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_gray_of_16_bits_becomes_three_equal_channels(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", [[0, 2048, 4095]], np.uint16)
    read = read_pixels(path, ImageSpec(max_value=4095))
    np.testing.assert_allclose(read[..., 0], [[0, 2048 / 4095 * 255, 255]], rtol=1e-6)
    assert read.shape == (1, 3, 3)
    assert (read == read[..., :1]).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("pixels", [DEEP, DEEP[..., 0]], ids=["colours", "gray"])
def test_without_a_maximum_16_bits_are_refused_with_the_fix(
    tmp_path: Path, pixels: np.ndarray, suffix: str
) -> None:
    path = _save_deep(tmp_path / f"a.{suffix}", pixels)
    with pytest.raises(InputError, match=r"more than 8 bits a channel.*write max_value: 65535 in"):
        read_image(path)
    with pytest.raises(InputError, match=r"more than 8 bits a channel.*write max_value: \d+ in"):
        read_pixels(path, ImageSpec())


@pytest.mark.parametrize(
    ("highest", "offered"), [(900, 1023), (4000, 4095), (4096, 16383), (30000, 65535)]
)
def test_the_fix_names_the_usual_white_above_the_highest_value(
    tmp_path: Path, highest: int, offered: int
) -> None:
    path = save(tmp_path / "a.png", [[0, highest]], np.uint16)
    found = rf"values from 0 to {highest} .*write max_value: {offered} in dataset\.yaml"
    with pytest.raises(InputError, match=found):
        read_pixels(path, ImageSpec())


def test_the_fix_names_black_where_values_are_negative(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", [[-12.5, 0.5]], np.float32)
    with pytest.raises(InputError, match=r"write max_value: 1 and min_value: -12\.5 in"):
        read_pixels(path, ImageSpec())


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_value_above_the_maximum_is_refused_and_not_clipped(tmp_path: Path, suffix: str) -> None:
    path = _save_deep(tmp_path / f"a.{suffix}", DEEP)
    with pytest.raises(InputError, match=r"values from 0 to 65535; expected values from 0 to 4095"):
        read_pixels(path, ImageSpec(max_value=4095))


def test_floating_point_values_are_scaled(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", [[0.0, 0.5, 1.0]], np.float32)
    assert read_pixels(path, ImageSpec(max_value=1))[..., 0].tolist() == [[0, 127.5, 255]]


def test_a_declared_range_begins_at_its_black(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", [[-30.0, -15.0, 0.0]], np.float32)
    read = read_pixels(path, ImageSpec(channels=1, min_value=-30, max_value=0))
    assert read[..., 0].tolist() == [[0, 127.5, 255]]


@pytest.mark.parametrize("images", [ImageSpec(), ImageSpec(max_value=1), ImageSpec(1, max_value=1)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_number_are_counted(
    tmp_path: Path, value: float, images: ImageSpec
) -> None:
    path = save(tmp_path / "a.tif", [[0.0, value, value]], np.float32)
    with pytest.raises(InputError, match=r"a\.tif holds 2 values that are no number"):
        read_pixels(path, images)


def test_a_negative_value_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", [[-1.0, 0.5]], np.float32)
    with pytest.raises(InputError, match=r"values from -1 to 0\.5.*min_value"):
        read_pixels(path, ImageSpec(max_value=1))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp"])
def test_a_maximum_changes_nothing_for_8_bits(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", gray(value=200))
    read = read_pixels(path, WHITE)
    assert read.dtype == np.uint8
    assert np.array_equal(read, read_image(path))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_cut_off_file_of_16_bits_is_damage(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 65535, (40, 40, 3), dtype=np.uint16)
    path = _save_deep(tmp_path / f"a.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"a\.{suffix} "):
        read_pixels(path, WHITE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bits_are_turned_as_8_bits_are(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    small = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    Image.fromarray(small).save(tmp_path / "a.png", exif=exif)
    deep = _save_deep(tmp_path / "b.png", small.astype(np.uint16) * 257)
    whole = deep.read_bytes()  # the EXIF chunk of the other file, moved here
    other = (tmp_path / "a.png").read_bytes()
    start = other.index(b"eXIf") - 4
    chunk = other[start : start + 12 + int.from_bytes(other[start : start + 4], "big")]
    at = whole.index(b"IDAT") - 4
    deep.write_bytes(whole[:at] + chunk + whole[at:])
    np.testing.assert_allclose(read_pixels(deep, WHITE), read_image(tmp_path / "a.png"), rtol=1e-6)


def test_a_pillow_image_of_16_bits_in_gray_is_scaled() -> None:
    image = Image.fromarray(np.array([[0, 65535]], np.uint16))
    read = pixels_of_picture(image, ImageSpec(channels=1, max_value=65535), origin="the image")
    assert read.tolist() == [[[0], [255]]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_jpeg_is_shown_upright(tmp_path: Path, orientation: int) -> None:
    """Undone by hand: rows and columns swapped from 5 on, then mirrored."""
    shown = np.zeros((16, 32, 3), np.uint8)
    shown[:8, :16] = 255  # the upper left quarter is white
    stored = {
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.swapaxes(0, 1),
        6: np.rot90(shown, 1),
        7: shown[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(shown, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=95)
    assert np.abs(read_image(path).astype(int) - shown).max() < 8
    assert inspect_image(path)[::2] == ((16, 32), orientation)


def test_a_cmyk_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    Image.fromarray(red).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - red).max() < 8
