from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pictures import bomb_header, gray, save, save_palette
from PIL import Image, ImageFile

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.pictures.images import (
    read_image,
    read_label_values,
    read_palette,
    read_size,
    write_label_png,
)

CORNERS = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)  # 2 rows, 3 columns


def _save_turned(path: Path, pixels: np.ndarray, orientation: int) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def test_orientation_6_turns_the_image_a_quarter_clockwise(tmp_path: Path) -> None:
    path = _save_turned(tmp_path / "a.png", np.dstack([CORNERS] * 3), 6)
    assert read_image(path)[..., 0].tolist() == [[40, 10], [50, 20], [60, 30]]
    assert read_size(path) == (3, 2)


def test_orientation_turns_a_label_as_it_turns_the_image(tmp_path: Path) -> None:
    path = _save_turned(tmp_path / "a.png", CORNERS, 6)
    assert read_label_values(path).tolist() == [[40, 10], [50, 20], [60, 30]]


def test_orientation_3_keeps_the_size(tmp_path: Path) -> None:
    path = _save_turned(tmp_path / "a.jpg", gray(4, 6), 3)
    assert read_size(path) == read_image(path).shape[:2] == (4, 6)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
def test_a_file_cut_off_in_the_middle_is_named(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3))
    path = save(tmp_path / f"cut.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"cut\.{suffix}"):
        read_image(path)


def test_no_damage_escapes_as_another_error(tmp_path: Path) -> None:
    whole = save(tmp_path / "a.png", gray(8, 8)).read_bytes()
    for position in range(len(whole)):
        for damaged in (whole[:position], _with_byte(whole, position, 0xFF)):
            path = tmp_path / "b.png"
            path.write_bytes(damaged)
            with suppress(InputError):
                assert read_image(path).shape[2] == 3


def _with_byte(whole: bytes, position: int, value: int) -> bytes:
    return whole[:position] + bytes([value]) + whole[position + 1 :]


def test_a_file_of_zero_bytes_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=r"a\.png is empty \(zero bytes\)"):
        read_image(tmp_path / "a.png")


def test_a_web_page_named_jpg_is_told_from_an_image(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("<!DOCTYPE html><html>404</html>")
    with pytest.raises(InputError, match=r"a\.jpg is a web page or SVG"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_the_size_is_read_without_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    plain = save(tmp_path / f"plain.{suffix}", gray(4, 6))
    turned = _save_turned(tmp_path / f"turned.{suffix}", gray(4, 6), 6)
    monkeypatch.setattr(ImageFile.ImageFile, "load", _never)
    assert read_size(plain) == (4, 6)
    assert read_size(turned) == (6, 4)


def test_a_damaged_exif_block_is_named(tmp_path: Path) -> None:
    Image.fromarray(gray()).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0")
    with pytest.raises(InputError, match=r"a\.png"):
        read_image(tmp_path / "a.png")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*a\.png"):
        read_image(tmp_path / "a.png")


def test_a_format_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    Image.fromarray(gray()).save(tmp_path / "a.gif")
    with pytest.raises(InputError, match="is a GIF; expected a JPEG, PNG"):
        read_image(tmp_path / "a.gif")


@pytest.mark.parametrize(("width", "height"), [(20000, 20000), (13400, 13400)])
def test_a_picture_too_large_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, height: int
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb_header(width, height))
    monkeypatch.setattr(Image.Image, "load", _never)
    for read in (read_image, read_label_values, read_size):
        with pytest.raises(InputError, match=r"bomb\.png .*more than 178,956,970 pixels"):
            read(path)


def test_the_limit_holds_where_pillows_own_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb_header(20000, 20000))
    with pytest.raises(InputError, match="is 20000x20000, more than"):
        read_image(path)


def _never(self: Image.Image) -> None:
    raise AssertionError("decoded")


def test_an_image_of_16_bits_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", [[0, 40000]], np.uint16)
    with pytest.raises(InputError, match="more than 8 bits a channel"):
        read_image(path)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_8_bit_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(gray(3, 5, 255)).convert(mode).save(path)
    assert np.array_equal(read_image(path), gray(3, 5, 255))


def test_a_mask_of_one_bit_gives_0_and_1(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False, True]])).save(tmp_path / "a.png")
    assert read_label_values(tmp_path / "a.png").tolist() == [[1, 0, 1]]


def test_labels_of_16_bits_do_not_wrap(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", [[0, 255, 256, 511, 65535]], np.uint16)
    assert read_label_values(path).tolist() == [[0, 255, 256, 511, 65535]]


def test_a_palette_mask_gives_indices_and_not_colours(tmp_path: Path) -> None:
    colors = [(9, 9, 9), (200, 0, 0), (0, 200, 0)]
    path = save_palette(tmp_path / "a.png", [[0, 2, 1]], colors)
    assert read_label_values(path).tolist() == [[0, 2, 1]]
    assert (read_palette(path) or ())[:3] == tuple(colors)


def test_a_gray_mask_has_no_palette(tmp_path: Path) -> None:
    assert read_palette(save(tmp_path / "a.png", [[0, 1]])) is None


def test_a_mask_in_colours_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", gray())
    with pytest.raises(InputError, match=r"a\.png is a colour picture \(mode RGB\)"):
        read_label_values(path)


def test_a_mask_of_floating_point_values_is_called_so(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", [[0.5, 1.0]], np.float32)
    with pytest.raises(InputError, match=r"a\.tif is a floating-point picture \(mode F\)"):
        read_label_values(path)


def test_a_written_label_reads_back_with_its_palette(tmp_path: Path) -> None:
    labels = LabelSpec(("a", "b"), ((1, 2, 3), (4, 5, 6)))
    label_map = np.array([[0, 1, 255]], np.uint8)
    write_label_png(tmp_path / "a.png", label_map, labels)
    assert read_label_values(tmp_path / "a.png").tolist() == [[0, 1, 255]]
    assert read_image(tmp_path / "a.png")[0].tolist() == [[1, 2, 3], [4, 5, 6], [0, 0, 0]]


def test_an_image_never_changes_the_decompression_limit_of_others(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    buffer = BytesIO()
    Image.fromarray(gray()).save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    read_image(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS
