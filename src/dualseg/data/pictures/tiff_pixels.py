"""Pixels of a TIFF of any number of bands, window by window.

Pillow reads three or four bands of eight bits and has no windows. This reader takes from Pillow
what it does well, the tags and libtiff's decompression, and puts the pieces together itself, so
that no other package is needed and no tile outside the window is decoded.
"""

import io
import lzma
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from dualseg.data.pictures.tiff import (
    BITS,
    BLACK_IS_ZERO,
    COMPRESSION,
    DEFLATE,
    HEIGHT,
    LZMA,
    NONE,
    OLD_DEFLATE,
    PHOTOMETRIC,
    SAMPLES,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    STRIP_ROWS,
    WIDTH,
    TiffLayout,
)
from dualseg.data.pictures.tiff_values import undo_prediction

SHORT, LONG = 3, 4
SHORT_TAGS = (BITS, COMPRESSION, PHOTOMETRIC, SAMPLES)


class Window(NamedTuple):
    """A part of an image, in its pixels."""

    top: int
    left: int
    height: int
    width: int


def read_window(
    path: Path, layout: TiffLayout, bands: Sequence[int], window: Window | None = None
) -> NDArray[np.generic]:
    """Values of some bands in a window, or everywhere.

    Args:
        path: The file.
        layout: Of this file.
        bands: Counted from 0.
        window: Of the stored image, before its orientation is applied.

    Returns:
        (height, width, len(bands)), of the file's type in this machine's byte order.

    Raises:
        OSError, ValueError, zlib.error: The pixels are damaged or cut off.
    """
    window = window or Window(0, 0, layout.height, layout.width)
    shape = (window.height, window.width, len(bands))
    values = np.zeros(shape, layout.dtype.newbyteorder("="))
    planes = [(band, place) for place, band in enumerate(bands)] if layout.planar else [(0, 0)]
    with open(path, "rb") as file:
        for plane, place in planes:
            for row, column in _touched(layout, window):
                chunk = _read_chunk(file, layout, plane, row, column)
                if chunk is None:  # a sparse file: nothing was ever written there
                    continue
                top, left = row * layout.chunk[0], column * layout.chunk[1]
                source, target = _overlap(window, top, left, chunk.shape[0], chunk.shape[1])
                if layout.planar:
                    values[(*target, place)] = chunk[source][..., 0]
                else:
                    values[target] = chunk[source][..., list(bands)]
    return values


def _touched(layout: TiffLayout, window: Window) -> Iterator[tuple[int, int]]:
    rows, columns = layout.chunk
    for row in range(window.top // rows, -(-(window.top + window.height) // rows)):
        for column in range(window.left // columns, -(-(window.left + window.width) // columns)):
            yield row, column


Slices = tuple[slice, slice]


def _overlap(window: Window, top: int, left: int, rows: int, columns: int) -> tuple[Slices, Slices]:
    """Which part of a chunk belongs where in the window."""
    source, target = [], []
    for start, length, at, count in (
        (window.top, window.height, top, rows),
        (window.left, window.width, left, columns),
    ):
        first, last = max(start, at), min(start + length, at + count)
        source.append(slice(first - at, last - at))
        target.append(slice(first - start, last - start))
    return (source[0], source[1]), (target[0], target[1])


def _read_chunk(
    file: BinaryIO, layout: TiffLayout, plane: int, row: int, column: int
) -> NDArray[np.generic] | None:
    """(rows, columns, samples in it) without what lies beyond the image."""
    down, across = layout.grid
    number = (plane * down + row) * across + column
    offset, count = layout.offsets[number], layout.counts[number]
    if not count:
        return None
    rows, columns = layout.chunk
    rows_inside = min(rows, layout.height - row * rows)
    columns_inside = min(columns, layout.width - column * columns)
    stored_rows = rows if layout.is_tiled else rows_inside
    samples = 1 if layout.planar else layout.samples
    needed = stored_rows * columns * samples * layout.dtype.itemsize
    file.seek(offset)
    packed = file.read(min(count, 2 * needed + (1 << 16)))
    content = _unpack(packed, layout.compression, stored_rows, needed)
    if len(content) < needed:
        raise ValueError("its pixels are cut off")
    values = undo_prediction(
        content[:needed], (stored_rows, columns, samples), layout.dtype, layout.predictor
    )
    return values[:rows_inside, :columns_inside]


def _unpack(packed: bytes, compression: int, rows: int, needed: int) -> bytes:
    """At most `needed` bytes, whatever the packed ones would give."""
    if compression == NONE:
        return packed
    if compression in (DEFLATE, OLD_DEFLATE):
        return zlib.decompressobj().decompress(packed, needed)
    if compression == LZMA:
        try:
            return lzma.LZMADecompressor().decompress(packed, needed)
        except lzma.LZMAError as error:
            raise ValueError(str(error)) from None
    return _unpack_by_libtiff(packed, compression, rows, needed // rows)


def _unpack_by_libtiff(packed: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """Hands the bytes to Pillow as the single strip of a gray TIFF of eight bits."""
    entries = (
        (WIDTH, row_bytes),
        (HEIGHT, rows),
        (BITS, 8),
        (COMPRESSION, compression),
        (PHOTOMETRIC, BLACK_IS_ZERO),
        (STRIP_OFFSETS, 8 + 2 + 9 * 12 + 4),
        (SAMPLES, 1),
        (STRIP_ROWS, rows),
        (STRIP_COUNTS, len(packed)),
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    tags = b"".join(
        struct.pack("<HHII", tag, SHORT if tag in SHORT_TAGS else LONG, 1, value)
        for tag, value in entries
    )
    whole = io.BytesIO(head + tags + struct.pack("<I", 0) + packed)
    with TiffImagePlugin.TiffImageFile(whole) as picture:
        return picture.tobytes()
