"""One array out of a MATLAB 5 `.mat` file, without scipy: enough for the labels of SBD.

A file is a header of 128 bytes and a row of elements, each with a tag (type, number of bytes); an
array is an element that holds others: flags, sizes, name, then its values or, for a struct, one
array a field. Everything else is skipped by its number of bytes.

Source: MathWorks, "MAT-File Format", version 5.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError

HEADER_BYTES = 128
MAX_BYTES = 1 << 26  # of one file, unpacked; SBD's are about one megabyte
MATRIX, COMPRESSED = 14, 15
STRUCT_CLASS = 2
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}


class _Element(NamedTuple):
    kind: int
    content: memoryview


def read_struct_field(path: Path, variable: str, field: str) -> NDArray[np.generic]:
    """The array in a field of a struct.

    Args:
        path: A `.mat` file of version 5 (MATLAB 5 to 7), little-endian.
        variable: Name of the struct; its first entry is read.
        field: Name of the field; it holds real numbers in two dimensions.

    Returns:
        (H, W), of the type in which the file stores it.

    Raises:
        InputError: The file is no such file, is damaged, or does not hold the field.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if len(data) < HEADER_BYTES or data[124:128] != b"\x00\x01IM":
        raise InputError(f"{path} is no MATLAB 5 file (a failed download?)")
    try:
        for element in _elements(memoryview(data)[HEADER_BYTES:]):
            fields = _struct_fields(_unpacked(element), variable)
            if field in fields:
                return _numbers(fields[field])
    except (struct.error, zlib.error, ValueError, IndexError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read as MATLAB file ({error}); is it cut off?"
        ) from None
    raise InputError(f"{path} holds no {variable}.{field}")


def _elements(data: memoryview) -> Iterator[_Element]:
    """Elements one after the other; each begins at a multiple of eight bytes."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind >> 16:  # four bytes or less stand in the tag itself
            kind, size, start, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            start = at + 8
            following = start + size + (0 if kind == COMPRESSED else -size % 8)
        if start + size > len(data):
            raise ValueError(f"{size} bytes announced, {len(data) - start} left")
        yield _Element(kind, data[start : start + size])
        at = following


def _unpacked(element: _Element) -> _Element:
    if element.kind != COMPRESSED:
        return element
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(element.content, MAX_BYTES)
    if unpacker.unconsumed_tail:
        raise ValueError(f"more than {MAX_BYTES:,} bytes unpacked")
    return next(_elements(memoryview(data)), _Element(0, memoryview(b"")))


def _struct_fields(element: _Element, variable: str) -> dict[str, _Element]:
    """Fields of the struct's first entry; none where the element is another variable."""
    if element.kind != MATRIX:
        return {}
    flags, _, name, *rest = _elements(element.content)
    if bytes(name.content).decode() != variable or flags.content[0] != STRUCT_CLASS:
        return {}
    (width,) = struct.unpack("<i", rest[0].content)
    if width < 1:
        raise ValueError(f"field names of {width} bytes")
    joined = bytes(rest[1].content)
    names = [joined[i : i + width].split(b"\0")[0].decode() for i in range(0, len(joined), width)]
    return dict(zip(names, rest[2:], strict=False))  # further entries are not read


def _numbers(element: _Element) -> NDArray[np.generic]:
    """(H, W) values, which MATLAB stores column by column."""
    flags, sizes, _, values = list(_elements(element.content))[:4]
    if flags.content[1] & 0x08 or values.kind not in NUMBERS:
        raise ValueError("the field holds no real numbers")
    height, width = np.frombuffer(sizes.content, "<i4")
    array = np.frombuffer(values.content, f"<{NUMBERS[values.kind]}")
    return array.reshape(int(width), int(height)).T
