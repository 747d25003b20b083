"""TIFFs of any bands, types and layouts, against a writer of our own, Pillow and tifffile."""

import struct
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiff_files import write_tiff

from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.data.pictures.bands import read_part, read_pixels
from dualseg.data.pictures.images import inspect_image, read_size
from dualseg.data.pictures.tiff import read_layout
from dualseg.data.pictures.tiff_pixels import Window, read_window


def _noise(dtype: str, bands: int = 5, height: int = 37, width: int = 53) -> np.ndarray:
    random = np.random.default_rng(0)
    if dtype[-2] == "f":
        return random.normal(size=(height, width, bands)).astype(dtype)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, (height, width, bands), dtype, endpoint=True)


def _read(path: Path, bands: int = 5, window: Window | None = None) -> np.ndarray:
    layout = read_layout(path)
    assert layout is not None
    return read_window(path, layout, range(bands), window)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "<f4", "<f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_and_byte_order_is_read_exactly(tmp_path: Path, dtype: str, order: str) -> None:
    pixels = _noise(dtype)
    path = write_tiff(tmp_path / "a.tif", pixels, order=order, rows_per_strip=8)
    assert np.array_equal(_read(path), pixels)


@pytest.mark.parametrize("tile", [None, (16, 32)])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("big", [False, True])
def test_every_layout_is_read_exactly(
    tmp_path: Path, tile: tuple[int, int] | None, planar: bool, deflate: bool, big: bool
) -> None:
    pixels = _noise("uint16")
    path = write_tiff(
        tmp_path / "a.tif",
        pixels,
        tile=tile,
        planar=planar,
        deflate=deflate,
        big=big,
        rows_per_strip=7,
    )
    assert np.array_equal(_read(path), pixels)
    window = Window(15, 20, 18, 30)
    assert np.array_equal(_read(path, window=window), pixels[15:33, 20:50])


def test_tiles_outside_the_window_are_not_read(tmp_path: Path) -> None:
    pixels = _noise("uint16", height=64, width=64)
    path = write_tiff(tmp_path / "a.tif", pixels, tile=(32, 32), deflate=True)
    whole = bytearray(path.read_bytes())
    whole[8 : 8 + 64] = bytes(64)  # the first tile is damaged
    path.write_bytes(whole)
    images = ImageSpec(channels=5, max_value=65535)
    part = read_part(path, images, Window(40, 33, 8, 8))
    assert part.dtype == np.float32
    assert np.allclose(part, pixels[40:48, 33:41] / 257, rtol=1e-6)
    with pytest.raises(InputError, match=r"a\.tif cannot be read as image"):
        read_part(path, images, Window(0, 0, 8, 8))


def test_a_tile_that_was_never_written_is_zero(tmp_path: Path) -> None:
    pixels = _noise("uint8", height=32, width=32)
    path = write_tiff(tmp_path / "a.tif", pixels, tile=(16, 16), leave_out=1)
    pixels[:16, 16:] = 0
    assert np.array_equal(_read(path), pixels)


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd"]
)
@pytest.mark.parametrize("predictor", [1, 2])
def test_what_libtiff_packs_is_read_as_pillow_reads_it(
    tmp_path: Path, compression: str, predictor: int
) -> None:
    pixels = _noise("uint8", bands=4)
    pixels[5:20] = 7  # something to pack
    path = tmp_path / "a.tif"
    info = {317: predictor} if compression != "packbits" else {}
    Image.fromarray(pixels, "RGBA").save(path, compression=compression, tiffinfo=info)
    layout = read_layout(path)
    assert layout is not None
    assert layout.compression != 1
    assert layout.predictor == (predictor if info else 1)
    assert np.array_equal(_read(path, 4), pixels)


@pytest.mark.parametrize("predictor", [1, 2, 3])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_floats_that_libtiff_predicts_are_read_as_pillow_reads_them(
    tmp_path: Path, predictor: int, compression: str
) -> None:
    pixels = _noise("<f4", bands=1)
    path = tmp_path / "a.tif"
    picture = Image.fromarray(pixels[..., 0])
    picture.save(path, compression=compression, tiffinfo={317: predictor})
    assert np.array_equal(_read(path, 1), pixels)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("tile", [None, (32, 16)])
def test_what_tifffile_writes_is_read_exactly(
    tmp_path: Path, planar: str, compression: str | None, dtype: str, tile: tuple | None
) -> None:
    tifffile = pytest.importorskip("tifffile")
    pixels = _noise(np.dtype(dtype).str)
    stored = pixels if planar == "contig" else pixels.transpose(2, 0, 1)
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored,
        photometric="minisblack",
        planarconfig=planar,
        compression=compression,
        tile=tile,
    )
    assert np.array_equal(_read(tmp_path / "a.tif"), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_turns_bands_as_it_turns_a_photo(tmp_path: Path, orientation: int) -> None:
    pixels = _noise("uint8", bands=3)
    path = write_tiff(tmp_path / "a.tif", pixels, extra=((274, orientation),))
    as_bands = read_pixels(path, ImageSpec(channels=(1, 2, 3)))
    photo = tmp_path / "b.tif"
    Image.fromarray(pixels).save(photo, tiffinfo={274: orientation})
    expected = read_pixels(photo, ImageSpec())
    assert np.array_equal(as_bands, expected)
    assert read_size(path, ImageSpec(channels=(1,))) == expected.shape[:2]
    part = read_part(path, ImageSpec(channels=(1, 2, 3)), Window(3, 4, 9, 8))
    assert np.array_equal(part, expected[3:12, 4:12])


@pytest.mark.parametrize("part", [0.3, 0.9])
@pytest.mark.parametrize("deflate", [False, True])
def test_a_cut_off_file_is_damage(tmp_path: Path, part: float, deflate: bool) -> None:
    path = write_tiff(tmp_path / "cut.tif", _noise("uint16"), deflate=deflate)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(InputError, match=r"cut\.tif (is damaged|cannot be read as image)"):
        read_pixels(path, ImageSpec(channels=5, max_value=65535))


def test_pixels_that_lie_beyond_the_file_are_damage(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", _noise("uint8"))
    whole = bytearray(path.read_bytes())
    start = struct.unpack("<I", whole[4:8])[0]
    place = whole.index(struct.pack("<HHI", 273, 4, 1), start) + 8
    whole[place : place + 4] = struct.pack("<I", len(whole) - 10)
    path.write_bytes(whole)
    with pytest.raises(InputError, match="its pixels are cut off"):
        read_pixels(path, ImageSpec(channels=5))


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        (256, 0, "has no pixel"),
        (256, 1 << 30, "more than 178,956,970 pixels"),
        (257, 1 << 31, "58040099 tiles or strips are needed, 1 are listed"),
        (278, 1, "37 tiles or strips are needed, 1 are listed"),
        (317, 9, "predictor 9 is unknown"),
        (317, 3, "predictor 3 is for floating-point values"),
        (259, 34712, "is compressed by method 34712"),
        (259, 5, r"a\.tif cannot be read as image"),
        (266, 2, "stores its bits in reverse order"),
    ],
)
def test_a_header_that_cannot_be_is_refused_by_name(
    tmp_path: Path, tag: int, value: int, message: str
) -> None:
    path = write_tiff(tmp_path / "a.tif", _noise("uint16"), extra=((266, 1), (317, 1)))
    whole = bytearray(path.read_bytes())
    start = struct.unpack("<I", whole[4:8])[0]
    place = whole.index(struct.pack("<HHI", tag, 4, 1), start) + 8
    whole[place : place + 4] = struct.pack("<I", value)
    path.write_bytes(whole)
    begin = time.monotonic()
    with pytest.raises(InputError, match=message) as caught:
        read_pixels(path, ImageSpec(channels=5, max_value=65535))
    assert "a.tif" in str(caught.value)
    assert time.monotonic() - begin < 1


def test_many_bands_of_few_bytes_are_a_bomb(tmp_path: Path) -> None:
    path = write_tiff(
        tmp_path / "a.tif", np.zeros((2100, 2100, 50), np.uint8), rows_per_strip=64, deflate=True
    )
    with pytest.raises(InputError, match=r"a\.tif unpacks .* as bombs do"):
        read_pixels(path, ImageSpec(channels=50))


def test_bands_count_for_the_budget(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", _noise("uint8", height=10, width=10))
    with pytest.raises(InputError, match=r"10x10 with 5 bands, 500 values.*write max_pixels: 125"):
        read_pixels(path, ImageSpec(channels=5, max_pixels=124))
    assert read_pixels(path, ImageSpec(channels=5, max_pixels=125)).shape == (10, 10, 5)


def test_mutated_headers_are_read_or_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    whole = write_tiff(
        tmp_path / "a.tif", _noise("uint16"), deflate=True, tile=(16, 16)
    ).read_bytes()
    start = struct.unpack("<I", whole[4:8])[0]
    images = ImageSpec(channels=5, max_value=65535)
    read = refused = 0
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(int(random.integers(1, 4))):
            content[int(random.integers(start, len(whole)))] = int(random.integers(256))
        path = tmp_path / "mutant.tif"
        path.write_bytes(content)
        begin = time.monotonic()
        try:
            read_pixels(path, images)
            inspect_image(path, images)
            read += 1
        except InputError as error:
            refused += "mutant.tif" in str(error)
        assert time.monotonic() - begin < 2
    assert read + refused == 300
    assert read > 20
    assert refused > 50


@pytest.mark.parametrize("number", [34887, 50002, 64999])
@pytest.mark.parametrize("images", [ImageSpec(), ImageSpec(max_value=255.0)])
def test_a_compression_that_nothing_here_reads_is_named(
    tmp_path: Path, number: int, images: ImageSpec
) -> None:
    """Three bands of bytes are not what is wrong with it."""
    path = tmp_path / "a.tif"
    Image.fromarray(_noise("uint8", 3)).save(path)
    entry = struct.Struct("<HHI")
    at = path.read_bytes().index(entry.pack(259, 3, 1))
    with open(path, "r+b") as file:
        file.seek(at + entry.size)
        file.write(struct.pack("<H", number))
    name = {34887: r" \(LERC\)", 50002: r" \(JPEG XL\)"}.get(number, "")
    with pytest.raises(InputError, match=f"is compressed by method {number}{name}; .*gdal_transl"):
        read_pixels(path, images)
