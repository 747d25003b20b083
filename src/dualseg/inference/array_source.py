"""An image in memory that is read by windows, and its label map put together again."""

import numpy as np
from numpy.typing import NDArray

from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size
from dualseg.core.image_spec import Pixels
from dualseg.inference.strategies import LogitsFunction
from dualseg.inference.tiles import Tiling, predict_tiles


class ArraySource:
    """A `TileSource` of pixels at hand, all of them valid.

    Args:
        pixels: (H, W, C).
    """

    def __init__(self, pixels: Pixels):
        self.pixels = pixels

    @property
    def size(self) -> Size:
        return self.pixels.shape[0], self.pixels.shape[1]

    def read(self, top: int, left: int, size: Size) -> Pixels:
        return self.pixels[top : top + size[0], left : left + size[1]]

    def valid(self, top: int, left: int, size: Size) -> None:
        return None


def tiled_label_map(
    logits: LogitsFunction, facts: ModelFacts, pixels: Pixels, tiling: Tiling
) -> NDArray[np.uint8]:
    """The label map of an image in memory, predicted tile by tile.

    Shape: (H, W, C) -> (H, W)
    """
    label_map = np.empty(pixels.shape[:2], np.uint8)

    def keep(top: int, left: int, block: NDArray[np.uint8], _: Pixels) -> None:
        label_map[top : top + block.shape[0], left : left + block.shape[1]] = block

    predict_tiles(logits, facts, ArraySource(pixels), keep, tiling)
    return label_map
