"""What a file really is, whatever its name says: told by its first bytes, never decoded."""

from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import TiffImagePlugin

from dualseg.data.faults import PictureError, picture_error
from dualseg.data.pictures.tiff import (
    BITS,
    COMPRESSION,
    NONE,
    SAMPLE_FORMAT,
    SAMPLES,
    STARTS,
    WIDTH,
    compressed_by,
    read_tags_of,
    unreadable_tiff,
)

START_BYTES = 512
WEB = (b"<!doctype", b"<html", b"<?xml", b"<svg", b"<head", b"<script", b"<!--", b"<!entity")
OTHERS = {
    b"GIF8": "a GIF",
    b"%PDF": "a PDF",
    b"8BPS": "a Photoshop document",
    b"%!PS": "an EPS or PostScript document",
    b"SIMPLE  =": "a FITS file",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
    b"\x00\x00\x00\x0cjP": "a JPEG 2000",
    b"version https://git-lfs": "a Git LFS pointer (run git lfs pull)",
    b"{": "JSON or plain text",
}
PILLOW_STARTS = (b"\xff\xd8", b"\x89PNG", b"BM", b"RIFF", *STARTS)


class Bands(NamedTuple):
    """What a TIFF's directory says of its values."""

    samples: int
    bits: int
    is_float: bool
    compression: int


def foreign_file(path: Path) -> PictureError:
    """Why a file that Pillow does not know cannot be read."""
    try:
        with open(path, "rb") as file:
            start = file.read(START_BYTES)
            bands = _find_bands(file) if start[:4] in STARTS else None
    except OSError as error:
        return picture_error(
            "E102", path, f"cannot be opened ({error.strerror})", "give the right to read it"
        )
    if not start:
        return picture_error("E111", path, "is empty (zero bytes)", "copy or fetch it again")
    if bands is not None and bands.compression not in TiffImagePlugin.COMPRESSION_INFO:
        return unreadable_tiff(path, compressed_by(bands.compression))
    if bands is not None:
        return picture_error(
            "E108",
            path,
            f"is a TIFF with {describe_bands(bands)}",
            _how_to_declare(bands),
            expected="one or three bands of 8 bits, or declared ones",
        )
    if start.startswith(PILLOW_STARTS):
        return picture_error(
            "E110", path, "is damaged: its header cannot be read", "copy or fetch it again"
        )
    plain = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if plain.startswith(WEB):
        found, fix = "is a web page or SVG: looks like HTML, a failed download?", "fetch it again"
        return picture_error("E111", path, found, fix)
    for magic, kind in OTHERS.items():
        if start.startswith(magic):
            return picture_error("E111", path, f"is {kind}", "save it in one of these formats")
    return picture_error(
        "E111", path, "is no image of a known format", "save it in one of these formats"
    )


def describe_bands(bands: Bands) -> str:
    """`5 bands of 16 bits`"""
    number = " floating-point" if bands.is_float else ""
    return f"{bands.samples} bands of {bands.bits}{number} bits"


def _how_to_declare(bands: Bands) -> str:
    white = "" if bands.bits <= 8 else ", and the value that is white: max_value: "
    if white:
        white += "1.0" if bands.is_float or bands.bits > 32 else f"{2**bands.bits - 1}"
    some = ", ".join(map(str, range(1, min(3, bands.samples) + 1)))
    return (
        f"write channels: {bands.samples} in dataset.yaml, or a list of the bands to use, such as "
        f"channels: [{some}]{white}; or save the bands to use as 8-bit gray or RGB"
    )


def _find_bands(file: BinaryIO) -> Bands | None:
    """None where the directory of the TIFF cannot be read."""
    file.seek(0)
    try:
        directory, _ = read_tags_of(file)
        if WIDTH not in directory:
            return None
        bits = int(directory.get(BITS, (1,))[0])
        is_float = directory.get(SAMPLE_FORMAT, (1,))[0] == 3
        compression = int(directory.get(COMPRESSION, NONE))
        return Bands(int(directory.get(SAMPLES, 1)), bits, is_float, compression)
    except Exception:  # any damage: then the file is called damaged
        return None
