"""Images of more than eight bits a channel: scaled by a declared maximum, never clipped."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import gray, save
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.data.images import inspect_image, read_image

DEEP = np.array([[[0, 257, 65535], [1285, 25700, 40000]]] * 2, np.uint16)  # 257 = 1 of 255
SCALED = [[[0, 1, 255], [5, 100, 156]]] * 2


def _save_deep(path: Path, pixels: np.ndarray) -> Path:
    cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colours_of_16_bits_are_scaled_by_the_declared_maximum(tmp_path: Path, suffix: str) -> None:
    path = _save_deep(tmp_path / f"a.{suffix}", DEEP)
    assert read_image(path, max_value=65535).tolist() == SCALED
    assert inspect_image(path).kind == "RGB;16"


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_gray_of_16_bits_becomes_three_equal_channels(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", [[0, 2048, 4095]], np.uint16)
    read = read_image(path, max_value=4095)
    assert read[..., 0].tolist() == [[0, 128, 255]]  # 2048 / 4095 * 255 = 127.53
    assert (read == read[..., :1]).all()


@pytest.mark.parametrize("pixels", [DEEP, DEEP[..., 0]], ids=["colours", "gray"])
def test_without_a_maximum_16_bits_are_refused_with_the_fix(
    tmp_path: Path, pixels: np.ndarray
) -> None:
    path = _save_deep(tmp_path / "a.png", pixels)
    with pytest.raises(InputError, match=r"a\.png .*more than 8 bits a channel.*max_value"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_value_above_the_maximum_is_refused_and_not_clipped(tmp_path: Path, suffix: str) -> None:
    path = _save_deep(tmp_path / f"a.{suffix}", DEEP)
    with pytest.raises(InputError, match=r"values from 0 to 65535; expected values from 0 to 4095"):
        read_image(path, max_value=4095)


def test_floating_point_values_are_scaled(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", [[0.0, 0.5, 1.0]], np.float32)
    assert read_image(path, max_value=1)[..., 0].tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("max_value", [None, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_number_are_counted(
    tmp_path: Path, value: float, max_value: int | None
) -> None:
    path = save(tmp_path / "a.tif", [[0.0, value, value]], np.float32)
    with pytest.raises(InputError, match=r"a\.tif holds 2 values that are no number"):
        read_image(path, max_value=max_value)


def test_a_negative_value_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", [[-1.0, 0.5]], np.float32)
    with pytest.raises(InputError, match=r"values from -1 to 0\.5"):
        read_image(path, max_value=1)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_maximum_changes_nothing_for_8_bits(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", gray(value=200))
    assert np.array_equal(read_image(path, max_value=65535), read_image(path))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_cut_off_file_of_16_bits_is_damage(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 65535, (40, 40, 3), dtype=np.uint16)
    path = _save_deep(tmp_path / f"a.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"a\.{suffix} "):
        read_image(path, max_value=65535)


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
    assert np.array_equal(read_image(deep, max_value=65535), read_image(tmp_path / "a.png"))


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
