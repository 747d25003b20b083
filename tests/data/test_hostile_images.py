"""Files made to hurt: each is read or refused with its name, within a second, in little memory."""

import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pictures import bomb_header, gray, save
from PIL import Image

from dualseg.data.faults import PictureError
from dualseg.data.pictures.images import (
    inspect_image,
    read_image,
    read_label_values,
    read_palette,
    read_size,
)

PNG = b"\x89PNG\r\n\x1a\n"
SVG = b"""<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">
<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg">&b;&x;</svg>"""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@cache
def _zeros(count: int) -> bytes:
    """Compressed, a mebibyte at a time."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(count >> 20)]
    return b"".join([*parts, packer.compress(bytes(count & 0xFFFFF)), packer.flush()])


@cache
def _png_of_zeros(side: int) -> bytes:
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = _zeros(side * (side + 1))
    return PNG + _chunk(b"IHDR", head) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _png_with(*chunks: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(b"\0\0"))
    return PNG + _chunk(b"IHDR", head) + b"".join(chunks) + pixels + _chunk(b"IEND", b"")


def _jpeg_of_scans(folder: Path, count: int) -> bytes:
    Image.fromarray(gray(64, 64)).save(folder / "few.jpg", progressive=True)
    whole = (folder / "few.jpg").read_bytes()
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * count + b"\xff\xd9"


def _tiff_loop() -> bytes:
    """A directory that names itself as the next one, and as its own EXIF directory."""
    entries = [
        (256, 4, 1, 4),
        (257, 4, 1, 4),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 200),
        (277, 3, 1, 1),
        (278, 4, 1, 4),
        (279, 4, 1, 16),
        (0x8769, 4, 1, 8),
    ]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries))
    return (head + body + struct.pack("<I", 8)).ljust(200, b"\0") + bytes(16)


def _tiff_of_tags(count: int) -> bytes:
    entries = b"".join(struct.pack("<HHQQ", 300 + i % 60000, 4, 1, 1) for i in range(count))
    return b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, count) + entries


def _refused(path: Path, content: bytes, read: Callable[[Path], object] = read_image) -> str:
    """Code of the error, which must name the file and come within a second."""
    path.write_bytes(content)
    begin = time.monotonic()
    with pytest.raises(PictureError) as caught:
        read(path)
    assert time.monotonic() - begin < 1
    assert path.name in str(caught.value)
    assert caught.value.fault.file == str(path)
    assert caught.value.fault.fix
    return caught.value.fault.code


@pytest.mark.parametrize("side", [12000, 20000])
def test_an_image_that_unpacks_a_thousandfold_is_refused(tmp_path: Path, side: int) -> None:
    assert _refused(tmp_path / "bomb.png", _png_of_zeros(side)) == "E112"


def test_a_large_label_of_one_class_is_small_and_right(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png_of_zeros(9000))
    assert read_label_values(tmp_path / "a.png").shape == (9000, 9000)


@pytest.mark.parametrize("read", [read_image, read_label_values, read_size, inspect_image])
def test_a_header_of_65535_pixels_a_side_is_refused(tmp_path: Path, read: Callable) -> None:
    assert _refused(tmp_path / "bomb.png", bomb_header(65535, 65535), read) == "E112"


def test_a_png_without_a_pixel_is_refused(tmp_path: Path) -> None:
    assert _refused(tmp_path / "none.png", bomb_header(0, 0)) in ("E110", "E111")


@pytest.mark.parametrize("read", [read_image, inspect_image, read_size])
def test_a_jpeg_of_ten_thousands_of_scans_is_refused(tmp_path: Path, read: Callable) -> None:
    assert _refused(tmp_path / "scans.jpg", _jpeg_of_scans(tmp_path, 50_000), read) == "E112"


def test_a_usual_progressive_jpeg_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(_jpeg_of_scans(tmp_path, 1))
    assert read_image(tmp_path / "a.jpg").shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"GIF89a" + bytes(60), "is a GIF"),
        (b"GIF89a/*" + bytes(40) + b"PK\x03\x04", "is a GIF"),  # an archive behind a picture
        (SVG, "is a web page or SVG"),
        (b"\n <!DOCTYPE html><html>404</html>", "looks like HTML, a failed download"),
        (b"\xef\xbb\xbf<html>", "looks like HTML"),
        (b"%PDF-1.7\n", "is a PDF"),
        (b"8BPS\0\1" + bytes(60), "is a Photoshop document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "is an EPS"),
        (b"SIMPLE  =                    T", "is a FITS file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"", r"is empty \(zero bytes\)"),
        (bytes(600), "is no image of a known format"),
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_other_content_under_the_name_of_a_picture_is_called_by_its_name(
    tmp_path: Path, start: bytes, what: str, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    assert _refused(path, start) == "E111"
    with pytest.raises(PictureError, match=what):
        read_label_values(path)


def test_a_tiff_directory_that_loops_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "loop.tif").write_bytes(_tiff_loop())
    begin = time.monotonic()
    assert read_image(tmp_path / "loop.tif").shape == (4, 4, 3)
    assert time.monotonic() - begin < 1


def test_a_tiff_of_many_tags_is_refused(tmp_path: Path) -> None:
    assert _refused(tmp_path / "tags.tif", _tiff_of_tags(1_000_000)) == "E112"


@pytest.mark.parametrize(
    "kind", [(b"zTXt", b"Comment\0\0"), (b"iCCP", b"icc\0\0"), (b"iTXt", b"Comment\0\1\0\0\0")]
)
def test_a_png_with_a_hundred_megabytes_beside_the_pixels(
    tmp_path: Path, kind: tuple[bytes, bytes]
) -> None:
    chunk = _chunk(kind[0], kind[1] + _zeros(100 << 20))
    assert _refused(tmp_path / "text.png", _png_with(chunk)) == "E112"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
def test_a_truncated_file_has_the_code_of_damage(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3))
    whole = save(tmp_path / f"a.{suffix}", noise).read_bytes()
    for read in (read_image, inspect_image):
        assert _refused(tmp_path / f"a.{suffix}", whole[: len(whole) // 2], read) == "E110"


def test_a_wrong_checksum_is_damage(tmp_path: Path) -> None:
    whole = bytearray(save(tmp_path / "a.png", gray()).read_bytes())
    whole[whole.index(b"IDAT") + 6] ^= 1
    assert _refused(tmp_path / "a.png", bytes(whole)) == "E110"


def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 9
    exif[0x9286] = b"x" * 60_000  # nearly as much as EXIF can hold
    Image.fromarray(gray(4, 6)).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (4, 6, 3)
    assert read_size(tmp_path / "a.jpg") == (4, 6)


MEASURE = """
import resource, sys
from pathlib import Path
from dualseg.core.errors import InputError
from dualseg.data.pictures.images import read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        read_image(Path(path))
    except InputError:
        continue
    raise SystemExit(f"{path} was read")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in KiB")
def test_what_is_refused_takes_less_than_64_mib(tmp_path: Path) -> None:
    contents = {
        "large.png": _png_of_zeros(12000),
        "header.png": bomb_header(65535, 65535),
        "text.png": _png_with(_chunk(b"zTXt", b"Comment\0\0" + _zeros(100 << 20))),
        "profile.png": _png_with(_chunk(b"iCCP", b"icc\0\0" + _zeros(100 << 20))),
        "scans.jpg": _jpeg_of_scans(tmp_path, 50_000),
        "tags.tif": _tiff_of_tags(1_000_000),
    }
    paths = [tmp_path / name for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, paths)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 64 << 10


def test_reading_a_palette_refuses_as_reading_pixels_does(tmp_path: Path) -> None:
    assert _refused(tmp_path / "a.png", b"<html>", read_palette) == "E111"
