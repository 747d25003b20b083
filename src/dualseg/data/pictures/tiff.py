"""Where the pixels of a TIFF are: bands, type, tiles or strips, from its header alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import TiffImagePlugin

from dualseg.core.geometry import Size
from dualseg.data.faults import PictureError, picture_error

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 259, 262, 274
STRIP_OFFSETS, SAMPLES, STRIP_ROWS, STRIP_COUNTS, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SAMPLE_FORMAT = 322, 323, 324, 325, 339
FILL_ORDER = 266
NONE, LZW, DEFLATE, PACKBITS, OLD_DEFLATE, LZMA, ZSTD = 1, 5, 8, 32773, 32946, 34925, 50000
BY_LIBTIFF = (LZW, PACKBITS, ZSTD)
COMPRESSIONS = (NONE, DEFLATE, OLD_DEFLATE, LZMA, *BY_LIBTIFF)
UNREAD = {34712: "JPEG 2000", 34887: "LERC", 50002: "JPEG XL", 52546: "JPEG XL"}
"""Compressions that GDAL writes and nothing here reads."""
BLACK_IS_ZERO, RGB = 1, 2
KINDS = {1: "u", 2: "i", 3: "f"}
WIDTHS = {"u": (8, 16, 32), "i": (8, 16, 32), "f": (16, 32, 64)}
SMALL_CHUNK = 1 << 24  # values; a tile may be larger than its image, but not by much more
MAX_SAMPLES = 4096


class TiffLayout(NamedTuple):
    """Where the pixels of a TIFF are.

    Attributes:
        height, width: Stored, before the orientation is applied.
        samples: Bands.
        dtype: Of a value, with the file's byte order.
        compression, predictor, orientation: Their tags.
        planar: Bands lie one behind the other, in place of pixel by pixel.
        chunk: (height, width) of a tile or strip.
        is_tiled: Chunks at the border have their full size.
        offsets, counts: Bytes of every chunk; row by row, one plane after the other.
    """

    height: int
    width: int
    samples: int
    dtype: np.dtype
    compression: int
    predictor: int
    orientation: int
    planar: bool
    chunk: Size
    is_tiled: bool
    offsets: Sequence[int]
    counts: Sequence[int]

    @property
    def size(self) -> Size:
        """(height, width) as displayed."""
        if self.orientation >= 5:
            return self.width, self.height
        return self.height, self.width

    @property
    def grid(self) -> Size:
        """Chunks in a column and in a row."""
        return -(-self.height // self.chunk[0]), -(-self.width // self.chunk[1])

    @property
    def kind(self) -> str:
        """`5 bands of uint16`."""
        return f"{self.samples} band{'s' * (self.samples > 1)} of {self.dtype.name}"


def is_tiff(path: Path) -> bool:
    """Whether a file begins as TIFFs do."""
    with open(path, "rb") as file:
        return file.read(4) in STARTS


def read_layout(path: Path) -> TiffLayout | None:
    """Where the pixels of a TIFF are; None where it holds colours that Pillow has to turn into RGB
    (palette, CMYK, YCbCr, JPEG) or single bits.

    Raises:
        InputError: It holds values or a compression that nothing here can read.
        OSError, ValueError, LookupError, struct.error: Its header is damaged.
    """
    with open(path, "rb") as file:
        tags, order = read_tags_of(file)
        bits = _numbers(tags, BITS, (1,))
        samples = _number(tags, SAMPLES, 1)
        kind = KINDS.get(_number(tags, SAMPLE_FORMAT, 1))
        photometric = _number(tags, PHOTOMETRIC, BLACK_IS_ZERO)
        compression = _number(tags, COMPRESSION, NONE)
        may_be_a_picture = samples <= 4 and set(bits) <= {1, 2, 4, 8}
        plain = photometric in (BLACK_IS_ZERO, RGB) and compression in COMPRESSIONS
        if may_be_a_picture and not (plain and set(bits) == {8}):
            return None
        _require_readable(path, bits, samples, kind, photometric, compression)
        if _number(tags, FILL_ORDER, 1) != 1:
            raise unreadable_tiff(path, "stores its bits in reverse order")
        layout = _layout(tags, np.dtype(f"{order}{kind}{bits[0] // 8}"), samples, compression)
    _require_sound(layout)
    return layout


def read_tags(path: Path) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Tag -> value of a TIFF's first directory.

    Raises:
        OSError, ValueError, LookupError, struct.error: It is damaged.
    """
    with open(path, "rb") as file:
        return read_tags_of(file)[0]


def read_size(path: Path) -> tuple[Size, int]:
    """(height, width) as displayed and orientation of a TIFF, whatever its pixels are packed by.

    Raises:
        OSError, ValueError, LookupError, struct.error: Its header is damaged.
    """
    tags = read_tags(path)
    size, turn = (_number(tags, HEIGHT, 0), _number(tags, WIDTH, 0)), _number(tags, ORIENTATION, 1)
    if not 1 <= turn <= 8:
        return size, 1
    return (size if turn < 5 else (size[1], size[0])), turn


def read_tags_of(file: BinaryIO) -> tuple[TiffImagePlugin.ImageFileDirectory_v2, str]:
    head = file.read(8)
    head += file.read(8) if 43 in (head[2], head[3]) else b""
    tags = TiffImagePlugin.ImageFileDirectory_v2(head)
    file.seek(tags.next)
    tags.load(file)
    return tags, "<" if head[:2] == b"II" else ">"


def _numbers(
    tags: TiffImagePlugin.ImageFileDirectory_v2, tag: int, default: tuple[int, ...] = ()
) -> tuple[int, ...]:
    found = tags.get(tag, default)
    return tuple(map(int, found)) if isinstance(found, tuple) else (int(found),)


def _number(tags: TiffImagePlugin.ImageFileDirectory_v2, tag: int, default: int) -> int:
    found = _numbers(tags, tag)
    return found[0] if found else default


def _layout(
    tags: TiffImagePlugin.ImageFileDirectory_v2, dtype: np.dtype, samples: int, compression: int
) -> TiffLayout:
    height, width = _number(tags, HEIGHT, 0), _number(tags, WIDTH, 0)
    tiled = TILE_WIDTH in tags
    if tiled:
        chunk = _number(tags, TILE_HEIGHT, 0), _number(tags, TILE_WIDTH, 0)
        offsets, counts = _numbers(tags, TILE_OFFSETS), _numbers(tags, TILE_COUNTS)
    else:
        chunk = min(height, _number(tags, STRIP_ROWS, height)), width
        offsets, counts = _numbers(tags, STRIP_OFFSETS), _numbers(tags, STRIP_COUNTS)
    orientation = _number(tags, ORIENTATION, 1)
    return TiffLayout(
        height,
        width,
        samples,
        dtype,
        compression,
        _number(tags, PREDICTOR, 1),
        orientation if 1 <= orientation <= 8 else 1,
        _number(tags, PLANAR, 1) == 2,
        chunk,
        tiled,
        offsets,
        counts,
    )


def _require_readable(
    path: Path,
    bits: Sequence[int],
    samples: int,
    kind: str | None,
    photometric: int,
    compression: int,
) -> None:
    if kind is None or len(set(bits)) != 1 or bits[0] not in WIDTHS[kind]:
        shown = "/".join(map(str, sorted(set(bits))))
        raise unreadable_tiff(path, f"has values of {shown} bits, or of complex or unknown type")
    if not 1 <= samples <= MAX_SAMPLES:
        raise unreadable_tiff(path, f"announces {samples} bands")
    if photometric not in (BLACK_IS_ZERO, RGB):
        raise unreadable_tiff(path, f"has photometric interpretation {photometric}")
    if compression not in COMPRESSIONS:
        raise unreadable_tiff(path, f"{compressed_by(compression)}")


def compressed_by(compression: int) -> str:
    """`is compressed by method 34887 (LERC)`, to be read behind a TIFF's name."""
    name = f" ({UNREAD[compression]})" if compression in UNREAD else ""
    return f"is compressed by method {compression}{name}"


def unreadable_tiff(path: Path, found: str) -> PictureError:
    """Why a sound TIFF cannot be read."""
    return picture_error(
        "E108",
        path,
        f"is a TIFF that {found}",
        "save it anew, as with gdal_translate -co COMPRESS=DEFLATE",
        expected="bands of 8, 16 or 32 bits, plain or packed by LZW, deflate, LZMA, PackBits or "
        "Zstandard",
    )


def _require_sound(layout: TiffLayout) -> None:
    """Numbers that contradict each other are damage."""
    rows, columns = layout.chunk
    if min(layout.height, layout.width, rows, columns) < 1:
        raise ValueError("it has no pixel")
    values = layout.height * layout.width * layout.samples
    if rows * columns * (1 if layout.planar else layout.samples) > max(SMALL_CHUNK, 4 * values):
        raise ValueError(f"its tiles are {columns}x{rows}")
    down, across = layout.grid
    needed = down * across * (layout.samples if layout.planar else 1)
    if not needed == len(layout.offsets) == len(layout.counts):
        raise ValueError(f"{needed} tiles or strips are needed, {len(layout.offsets)} are listed")
