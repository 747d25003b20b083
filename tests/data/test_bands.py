"""Which bands of which files reach the network, and what a user reads where they do not fit."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import gray, save, save_palette
from PIL import Image
from tiff_files import write_tiff

from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.data.pictures.bands import pixels_of_picture, read_part, read_pixels
from dualseg.data.pictures.images import inspect_image, read_image, read_size
from dualseg.data.pictures.tiff_pixels import Window

FOUR = np.arange(4 * 5 * 4, dtype=np.uint8).reshape(4, 5, 4)


def _save(path: Path, pixels: np.ndarray, mode: str) -> Path:
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_four_declared_bands_keep_the_fourth(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    pixels = np.maximum(FOUR, 1)  # WebP forgets colours where the fourth band is 0
    Image.fromarray(pixels, "RGBA").save(path, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(read_pixels(path, ImageSpec(channels=4)), pixels)
    assert np.array_equal(read_pixels(path, ImageSpec()), pixels[..., :3])


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_list_takes_bands_in_its_order(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(FOUR, "RGBA").save(path)
    read = read_pixels(path, ImageSpec(channels=(4, 2, 2)))
    assert np.array_equal(read, FOUR[..., [3, 1, 1]])
    assert read.flags.c_contiguous


@pytest.mark.parametrize("mode", ["L", "1", "I;16"])
def test_gray_pictures_have_one_band(tmp_path: Path, mode: str) -> None:
    values = np.array([[0, 255]], np.uint8)
    path = tmp_path / "a.png"
    if mode == "I;16":
        save(path, values.astype(np.uint16) * 257, np.uint16)
    else:
        _save(path, values, mode)
    read = read_pixels(path, ImageSpec(channels=1, max_value=65535))
    assert read.tolist() == [[[0], [255]]]


def test_deep_gray_with_alpha_has_two_bands(tmp_path: Path) -> None:
    """A PNG of 16-bit gray and alpha, written by hand: no writer at hand makes one."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + end

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 4, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(">4H", 0, 65535, 257, 514)))
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + pixels + chunk(b"IEND", b""))
    read = read_pixels(path, ImageSpec(channels=2, max_value=65535))
    np.testing.assert_allclose(read, [[[0, 255], [1, 2]]], rtol=1e-6)


def test_a_palette_and_cmyk_are_colours_and_not_bands(tmp_path: Path) -> None:
    path = save_palette(tmp_path / "a.png", [[0, 1]], [(1, 2, 3), (9, 8, 7)])
    read = read_pixels(path, ImageSpec(channels=(3, 1)))
    assert read.tolist() == [[[3, 1], [7, 9]]]
    cmyk = _save(tmp_path / "a.tif", gray(value=77), "CMYK")
    assert read_pixels(cmyk, ImageSpec(channels=(1,))).shape == (4, 6, 1)
    with pytest.raises(InputError, match=r"a\.tif has 3 bands; expected 4 bands"):
        read_pixels(cmyk, ImageSpec(channels=4))


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        (3, r"has 5 bands; expected 3 bands; .*channels: 5 in dataset\.yaml.*channels: \[1, 2, 3]"),
        (4, "has 5 bands; expected 4 bands"),
        ((1, 6), "has 5 bands; expected band 6 too"),
    ],
)
def test_other_bands_than_declared_are_refused_with_what_to_write(
    tmp_path: Path, channels: int | tuple[int, ...], message: str
) -> None:
    path = write_tiff(tmp_path / "a.tif", np.zeros((3, 4, 5), np.uint8))
    with pytest.raises(InputError, match=message):
        read_pixels(path, ImageSpec(channels=channels, max_value=1))


@pytest.mark.parametrize(
    ("dtype", "white"), [("uint8", None), ("uint16", "65535"), ("float32", r"1\.0")]
)
def test_undeclared_bands_are_refused_with_what_to_write(
    tmp_path: Path, dtype: str, white: str | None
) -> None:
    path = write_tiff(tmp_path / "a.tif", np.zeros((3, 4, 5), dtype))
    wanted = r"is a TIFF with 5 bands.*write channels: 5 in dataset\.yaml.*channels: \[1, 2, 3]"
    for read in (read_image, inspect_image, read_size):
        with pytest.raises(InputError, match=wanted) as caught:
            read(path)
        assert ("max_value" in str(caught.value)) == (white is not None)
    if white:
        with pytest.raises(InputError, match=f"max_value: {white}"):
            read_image(path)


def test_a_declared_tiff_says_size_and_kind_from_its_header(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", np.zeros((3, 4, 5), np.uint16))
    images = ImageSpec(channels=5, max_value=65535)
    assert read_size(path, images) == (3, 4)
    assert inspect_image(path, images) == ((3, 4), "5 bands of uint16", 1)


def test_a_complex_tiff_is_refused(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", np.zeros((3, 4, 5), np.float32), extra=())
    whole = path.read_bytes().replace(b"\x03\0\0\0" * 5, b"\x06\0\0\0" * 5)  # sample format 6
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"a\.tif is a TIFF that has values of .* complex"):
        read_pixels(path, ImageSpec(channels=5, max_value=1))


def test_negative_integers_are_scaled_from_black(tmp_path: Path) -> None:
    pixels = np.array([[[-100, 0, 100]]], np.int16)
    path = write_tiff(tmp_path / "a.tif", pixels)
    read = read_pixels(path, ImageSpec(channels=(1, 2, 3), min_value=-100, max_value=100))
    assert read.tolist() == [[[0, 127.5, 255]]]


def test_doubles_are_scaled_before_they_lose_digits(tmp_path: Path) -> None:
    pixels = np.array([[[1e9, 1e9 + 1]]])  # equal as float32
    path = write_tiff(tmp_path / "a.tif", pixels)
    read = read_pixels(path, ImageSpec(channels=2, min_value=1e9, max_value=1e9 + 1))
    assert read.tolist() == [[[0, 255]]]


def test_a_window_of_any_format_is_a_part_of_the_image(tmp_path: Path) -> None:
    photo = save(tmp_path / "a.png", np.arange(60).reshape(4, 5, 3))
    part = read_part(photo, ImageSpec(), Window(1, 2, 2, 3))
    assert np.array_equal(part, read_image(photo)[1:3, 2:5])


def test_a_pillow_image_of_four_bands_is_taken_as_the_file_is() -> None:
    picture = Image.fromarray(FOUR, "RGBA")
    read = pixels_of_picture(picture, ImageSpec(channels=4), origin="the image")
    assert np.array_equal(read, FOUR)
    with pytest.raises(InputError, match="the image has 4 bands; expected 5 bands"):
        pixels_of_picture(picture, ImageSpec(channels=5), origin="the image")


def test_deep_colours_can_be_chosen_one_by_one(tmp_path: Path) -> None:
    pixels = np.array([[[0, 257, 514]]], np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), pixels[..., ::-1])
    read = read_pixels(tmp_path / "a.png", ImageSpec(channels=(3, 1), max_value=65535))
    np.testing.assert_allclose(read, [[[2, 0]]], rtol=1e-6)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif"])
@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P", "RGBA", "CMYK"])
def test_every_format_and_mode_is_read_as_people_see_it(
    tmp_path: Path, suffix: str, mode: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    picture = Image.fromarray(gray(16, 24, 255)).convert(mode)
    try:
        picture.save(path)
    except OSError:
        pytest.skip(f"there is no {suffix} of mode {mode}")
    read = read_image(path)
    assert read.shape == (16, 24, 3)
    assert np.abs(read.astype(int) - 255).max() <= 2


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif"])
def test_an_image_of_one_pixel_is_read(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", gray(1, 1, 200))
    assert read_image(path).shape == (1, 1, 3)
    five = write_tiff(tmp_path / "b.tif", np.full((1, 1, 5), 9, np.uint8))
    assert read_pixels(five, ImageSpec(channels=5)).tolist() == [[[9] * 5]]


@pytest.mark.parametrize("name", ["ü 街 ❄", "a  b", "line\nbreak", "tab\there", "-rf", "'\"$(x)"])
def test_names_of_every_kind_are_read_and_named(tmp_path: Path, name: str) -> None:
    path = write_tiff(tmp_path / f"{name}.tif", np.zeros((2, 2, 5), np.uint8))
    images = ImageSpec(channels=5)
    assert read_pixels(path, images).shape == (2, 2, 5)
    (tmp_path / "link.tif").symlink_to(path)
    assert read_pixels(tmp_path / "link.tif", images).shape == (2, 2, 5)
    with pytest.raises(InputError, match="5 bands; expected 2 bands") as caught:
        read_pixels(path, ImageSpec(channels=2))
    assert "\n" not in str(caught.value)


def test_a_link_to_nowhere_and_a_loop_are_named(tmp_path: Path) -> None:
    (tmp_path / "gone.tif").symlink_to(tmp_path / "nowhere.tif")
    (tmp_path / "loop.tif").symlink_to(tmp_path / "loop.tif")
    for name, message in (("gone", "is a link to .*nowhere"), ("loop", "leads back to itself")):
        with pytest.raises(InputError, match=message):
            read_pixels(tmp_path / f"{name}.tif", ImageSpec(channels=5))
