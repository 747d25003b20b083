"""A mark inside the files that `predict` writes: a name alone may be that of a user's own mask."""

import struct
import zlib
from pathlib import Path

from dualseg.data.pictures.tiff import read_tags

_TEXT = b"tEXt" + b"Software\0dualseg predict"
_CHUNK = struct.pack(">I", len(_TEXT) - 4) + _TEXT + struct.pack(">I", zlib.crc32(_TEXT))
_HEAD_BYTES = 33
"""Signature and header, which stand first in every PNG."""
_BOX = struct.pack(">I4s", 8 + len(_TEXT), b"free") + _TEXT
"""The last box of an MP4; players pass over it."""
GDAL_METADATA = 42112
CLASSES_TAG = "DUALSEG_CLASSES"
"""Holds the names of the classes, as JSON, in a TIFF of labels."""


def marked_png(content: bytes) -> bytes:
    """The same PNG with the mark in it."""
    return content[:_HEAD_BYTES] + _CHUNK + content[_HEAD_BYTES:]


def mark_mp4(path: Path) -> None:
    """Puts the mark at the end of an MP4."""
    with open(path, "ab") as file:
        file.write(_BOX)


def is_marked(path: Path) -> bool:
    """Whether `predict` wrote a file: a PNG, an MP4 or a TIFF of labels; False for all others."""
    try:
        with open(path, "rb") as file:
            start = file.read(_HEAD_BYTES + len(_CHUNK))
            file.seek(max(0, path.stat().st_size - len(_BOX)))
            end = file.read()
        if path.suffix.lower() == ".tif":
            return CLASSES_TAG in str(read_tags(path).get(GDAL_METADATA, ""))
    except Exception:  # whatever a damaged one raises: the reader that comes next says it
        return False
    return start[_HEAD_BYTES:] == _CHUNK or end == _BOX
