"""A TIFF writer of its own for the tests: any bands, type, byte order, tiles, strips, planes."""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FORMATS = {"u": 1, "i": 2, "f": 3}


def write_tiff(
    path: Path,
    pixels: NDArray,
    *,
    order: str = "<",
    planar: bool = False,
    tile: tuple[int, int] | None = None,
    rows_per_strip: int | None = None,
    deflate: bool = False,
    big: bool = False,
    extra: tuple[tuple[int, int], ...] = (),
    leave_out: int | None = None,
) -> Path:
    """Writes (H, W, C); `leave_out` is the number of a tile that is not stored (a sparse file)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, samples = pixels.shape
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    planes = [stored[..., [b]] for b in range(samples)] if planar else [stored]
    rows, columns = tile or (rows_per_strip or height, width)
    chunks = []
    for plane in planes:
        for top in range(0, height, rows):
            for left in range(0, width, columns):
                part = plane[top : top + rows, left : left + columns]
                if tile:
                    whole = np.zeros((rows, columns, part.shape[2]), part.dtype)
                    whole[: part.shape[0], : part.shape[1]] = part
                    part = whole
                chunks.append(zlib.compress(part.tobytes()) if deflate else part.tobytes())
    if leave_out is not None:
        chunks[leave_out] = b""
    bits = pixels.dtype.itemsize * 8
    tags: list[tuple[int, tuple[int, ...]]] = [
        (256, (width,)),
        (257, (height,)),
        (258, (bits,) * samples),
        (259, (8 if deflate else 1,)),
        (262, (1,)),
        (277, (samples,)),
        (284, (2 if planar else 1,)),
        (339, (FORMATS[pixels.dtype.kind],) * samples),
        *((tag, (value,)) for tag, value in extra),
    ]
    places, sizes = (324, 325) if tile else (273, 279)
    if tile:
        tags += [(322, (columns,)), (323, (rows,))]
    else:
        tags += [(278, (rows,))]
    content, offsets, at = b"", [], 16 if big else 8
    for chunk in chunks:
        offsets.append(at + len(content) if chunk else 0)
        content += chunk
    tags += [(places, tuple(offsets)), (sizes, tuple(len(chunk) for chunk in chunks))]
    directory = at + len(content)
    if big:
        head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HHHQ", 43, 8, 0, directory)
    else:
        head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, directory)
    path.write_bytes(head + content + _directory(sorted(tags), directory, order, big))
    return path


def _directory(tags: list[tuple[int, tuple[int, ...]]], start: int, order: str, big: bool) -> bytes:
    count, entry, kind, inline = ("Q", "HHQ", "Q", 8) if big else ("H", "HHI", "I", 4)
    type_id = 16 if big else 4
    size = struct.calcsize(order + count) + len(tags) * (struct.calcsize(order + entry) + inline)
    size += inline  # where the next directory would be
    entries, values = b"", b""
    for tag, numbers in tags:
        packed = struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
        entries += struct.pack(order + entry, tag, type_id, len(numbers))
        if len(packed) <= inline:
            entries += packed.ljust(inline, b"\0")
        else:
            entries += struct.pack(order + kind, start + size + len(values))
            values += packed
    return struct.pack(order + count, len(tags)) + entries + bytes(inline) + values
