"""TIFFs that fit nowhere: read, predicted and written by windows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.core.image_spec import Pixels, to_rgb
from dualseg.core.labels import LabelSpec
from dualseg.data.pictures.picture_files import decoding, require_few_tags, require_one_page
from dualseg.data.pictures.tiff import read_size
from dualseg.data.pictures.tiff_pages import count_pages
from dualseg.inference.geotiff import GeoTiff, new_label_tiff, small_cache, write_block
from dualseg.inference.predictor import Predictor
from dualseg.inference.tiles import Tiling, predict_tiles
from dualseg.inference.written import write_picture
from dualseg.visual.overlay import blend

OVERVIEW_SIDE = 2048
"""Longest side of the overlay of an image that is predicted by windows."""


def stored_size(path: Path) -> tuple[Size, int]:
    """(height, width) as displayed and orientation of a TIFF, however large it is.

    Raises:
        InputError: The header cannot be read, or there are several pages.
    """
    with decoding(str(path)):
        require_few_tags(path)
        require_one_page(path, count_pages(path))
        return read_size(path)


def predict_by_windows(
    predictor: Predictor,
    path: Path,
    labels_path: Path,
    overlay_path: Path | None,
    tiling: Tiling,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Predicts a TIFF of any size into a GeoTIFF of class ids, in memory that does not grow.

    Args:
        predictor: Network and strategy.
        path: The TIFF; tiled ones are read fastest.
        labels_path: Becomes a GeoTIFF with the georeference of the image; see `new_label_tiff`.
        overlay_path: Becomes a PNG of at most OVERVIEW_SIDE pixels a side: every n-th pixel.
        tiling: From `choose_tiling`.
        progress: Called with (done, total) tiles.

    Raises:
        InputError: The image cannot be read so, or rasterio is not installed.
        DiskFullError: No space is left; nothing stands under the names.
    """
    images, labels = predictor.facts.images, predictor.facts.labels
    _, orientation = stored_size(path)
    if orientation != 1:
        raise InputError(
            f"{path} is turned by its orientation tag ({orientation}), which cannot be done in "
            "windows; write it upright first"
        )
    with small_cache():
        source = GeoTiff(path, images)
        try:
            overview = _Overview(source.size)
            with new_label_tiff(labels_path, source, labels, step=tiling.step) as file:

                def keep(top: int, left: int, block: NDArray[np.uint8], pixels: Pixels) -> None:
                    write_block(file, top, left, block)
                    overview.take(top, left, block, pixels)

                predict_tiles(
                    predictor.logits, predictor.facts, source, keep, tiling, progress=progress
                )
                if overlay_path is not None:  # before the labels stand, as of other images
                    write_picture(overlay_path, overview.blended(labels))
        finally:
            source.close()


class _Overview:
    """Every n-th pixel of an image and its label map, taken from blocks as they come."""

    def __init__(self, size: Size):
        self.stride = -(-max(size) // OVERVIEW_SIDE)
        shape = (-(-size[0] // self.stride), -(-size[1] // self.stride))
        self.pixels = np.zeros((*shape, 3), np.uint8)
        self.label_map = np.zeros(shape, np.uint8)

    def take(self, top: int, left: int, block: NDArray[np.uint8], pixels: Pixels) -> None:
        first = (-top % self.stride, -left % self.stride)
        picked = (slice(first[0], None, self.stride), slice(first[1], None, self.stride))
        thin = block[picked]
        row, column = (top + first[0]) // self.stride, (left + first[1]) // self.stride
        place = (slice(row, row + thin.shape[0]), slice(column, column + thin.shape[1]))
        self.label_map[place] = thin
        self.pixels[place] = to_rgb(pixels[picked])

    def blended(self, labels: LabelSpec) -> NDArray[np.uint8]:
        return blend(self.pixels, self.label_map, labels)
