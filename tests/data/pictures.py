"""Tiny files for the tests of this folder."""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from dualseg.core.labels import LabelSpec


def save(path: Path, pixels: ArrayLike, dtype: type = np.uint8) -> Path:
    """Writes an array as the picture the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype)).save(path)
    return path


def save_palette(path: Path, ids: ArrayLike, palette: list[tuple[int, int, int]]) -> Path:
    """Writes ids as a palette PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(ids, np.uint8))
    picture.putpalette([channel for color in palette for channel in color])
    picture.save(path)
    return path


def gray(height: int = 4, width: int = 6, value: int = 90) -> NDArray[np.uint8]:
    """An even image."""
    return np.full((height, width, 3), value, np.uint8)


def bomb_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds almost nothing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 8)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


class SquareDataset:
    """A bright square of class 1 on dark ground of class 0, in memory."""

    labels = LabelSpec(("ground", "square"), ((0, 0, 0), (255, 255, 255)))
    split = "train"

    def __init__(self, length: int, height: int = 12, width: int = 16):
        self.length, self.height, self.width = length, height, width
        self.images_read: list[int] = []
        self.labels_read: list[int] = []

    def __len__(self) -> int:
        return self.length

    def name(self, index: int) -> str:
        return f"square_{index}"

    def label_map(self, index: int) -> NDArray[np.uint8]:
        self.labels_read.append(index)
        return self._square(index)

    def image(self, index: int) -> NDArray[np.uint8]:
        self.images_read.append(index)
        bright = 30 + 180 * self._square(index) + np.uint8(index)
        return np.repeat(bright[..., None], 3, axis=2).astype(np.uint8)

    def image_path(self, index: int) -> Path | None:
        return None

    def label_path(self, index: int) -> Path | None:
        return None

    def _square(self, index: int) -> NDArray[np.uint8]:
        label_map = np.zeros((self.height, self.width), np.uint8)
        label_map[2 : 2 + self.height // 2, index % 4 : index % 4 + self.width // 2] = 1
        return label_map
