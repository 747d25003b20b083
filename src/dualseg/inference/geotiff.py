"""GeoTIFFs of any size, read and written by windows. Needs rasterio (the extra `geo`)."""

import json
import math
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.files import DiskFullError, new_file
from dualseg.core.geometry import Size
from dualseg.core.image_spec import ImageSpec, Pixels
from dualseg.core.labels import LabelSpec
from dualseg.data.pictures.bands import finished, used_bands
from dualseg.data.pictures.tiff import is_tiff
from dualseg.inference.own_results import CLASSES_TAG
from dualseg.inference.utf8_names import utf8_name

if TYPE_CHECKING:
    from rasterio.io import DatasetReader, DatasetWriter  # pyright: ignore[reportMissingImports]

CACHE_MIB = 64
"""What GDAL may keep of files; its default is a share of the machine's memory."""
BLOCK_SIDES = (512, 256, 128, 64, 32, 16)
SPARE_BYTES = 64 << 20
"""With less left on the disk, what failed to be written failed for that."""


class GeoTiff:
    """A `TileSource` of a TIFF, and the place its pixels have on Earth.

    Pixels are those of `read_pixels`: bands and values as `images` says, palettes as colours. Where
    the file says it holds no data (nodata value, mask, alpha 0), `valid` is False.

    Args:
        path: The file.
        images: Bands and values of the images the network was trained on.

    Raises:
        InputError: It is no TIFF, damaged, in colours that are not RGB, or has other bands than
            `images` says.
    """

    def __init__(self, path: Path, images: ImageSpec):
        self.path = path
        self.images = images
        with _faults_of(path):
            self.file: DatasetReader = _opened(path, "r")
        try:
            self._look_at_bands()
        except InputError:
            self.close()
            raise

    def _look_at_bands(self) -> None:
        kinds = [interpretation.name for interpretation in self.file.colorinterp]
        if self.images.channels == 3 and "cyan" in kinds:
            raise InputError(f"{self.path} is in CMYK; convert it to RGB first")
        structure = self.file.tags(ns="IMAGE_STRUCTURE")
        if structure.get("SOURCE_COLOR_SPACE") == "CIELAB":  # handed out as if it were RGB
            raise InputError(f"{self.path} is in CIELab; convert it to RGB first")
        self.colors = self._palette() if kinds[0] == "palette" else None
        available = self.file.count if self.colors is None else self.colors.shape[1]
        used = used_bands(self.path, available, self.images)
        self.bands = [band + 1 for band in used]
        if self.colors is not None:
            self.bands, self.colors = [1], self.colors[:, used]
        self.levels = self._levels(is_negative=structure.get("MINISWHITE") == "YES")
        flags = self.file.mask_flag_enums
        self.is_all_valid = all("all_valid" in {flag.name for flag in band} for band in flags)

    @property
    def size(self) -> Size:
        return self.file.height, self.file.width

    def read(self, top: int, left: int, size: Size) -> Pixels:
        with _faults_of(self.path):
            values = self.file.read(self.bands, window=_window(top, left, size))
        if self.colors is not None:
            return finished(self.colors[values[0]], self.images, origin=self.path)
        if self.levels is not None:
            values = self.levels[values]
        values = np.moveaxis(values, 0, 2)
        valid = self.valid(top, left, size) if values.dtype != np.uint8 else None
        if valid is not None:  # what stands there is no value, and may be NaN
            values[~valid] = np.asarray(self.images.min_value).astype(values.dtype)
        return finished(values, self.images, origin=self.path)

    def valid(self, top: int, left: int, size: Size) -> NDArray[np.bool_] | None:
        if self.is_all_valid:
            return None
        with _faults_of(self.path):
            mask = self.file.dataset_mask(window=_window(top, left, size))
        return mask > 0

    def close(self) -> None:
        """Closes the file."""
        self.file.close()

    def _levels(self, *, is_negative: bool) -> NDArray[np.uint8] | None:
        """Stored value -> 0 (black) to 255, where bytes hold fewer bits or count from white."""
        bits = int(self.file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 8))
        if self.file.dtypes[0] != "uint8" or (bits == 8 and not is_negative):
            return None
        brightest = 2**bits - 1
        levels = np.arange(256).clip(max=brightest) * 255 // brightest
        return (255 - levels if is_negative else levels).astype(np.uint8)

    def _palette(self) -> NDArray[np.uint8]:
        """(256, 3) colours; (256, 1) of one bit, black and white, which GDAL calls a palette."""
        table = np.zeros((256, 3), np.uint8)
        for index, color in self.file.colormap(1).items():
            table[index] = color[:3]
        is_bilevel = self.file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == "1"
        return table[:, :1] if is_bilevel and (table == table[:, :1]).all() else table


@contextmanager
def new_label_tiff(
    path: Path, like: GeoTiff, labels: LabelSpec, *, step: Size
) -> Iterator["DatasetWriter"]:
    """A GeoTIFF of class ids that stands under its name when the block ends well.

    Tiled, deflate, with the palette, the ignored id as nodata, the classes' names as a tag
    (`CLASSES_TAG`, JSON), and the place on Earth of `like`.

    Args:
        path: Where it will stand.
        like: Gives size, coordinate system, transform and ground control points.
        labels: Classes and palette.
        step: Blocks of this (height, width) are written; the file's own divide it where 16 does.

    Raises:
        DiskFullError: No space is left.
        InputError: It cannot be written.
    """
    height, width = like.size
    side = next((side for side in BLOCK_SIDES if not (step[0] % side or step[1] % side)), 16)
    profile: dict[str, Any] = {
        "height": height,
        "width": width,
        "count": 1,
        "dtype": "uint8",
        "tiled": True,
        "blockxsize": side,
        "blockysize": side,
        "compress": "deflate",
        "bigtiff": "if_safer",
        "nodata": labels.ignore_index,
    }
    with new_file(path) as temporary, _faults_of(path, writing=True):
        with _opened(temporary, "w", profile) as file:
            _place_on_earth(file, like)
            file.write_colormap(1, _colormap(labels))
            file.update_tags(**{CLASSES_TAG: json.dumps(list(labels.class_names))})
            yield file
        _require_readable(temporary)


def write_block(file: "DatasetWriter", top: int, left: int, block: NDArray[np.uint8]) -> None:
    """Writes (h, w) ids at a place of a file of `new_label_tiff`."""
    file.write(block, 1, window=_window(top, left, (block.shape[0], block.shape[1])))


@contextmanager
def small_cache() -> Iterator[None]:
    """Inside the block GDAL keeps no more than CACHE_MIB of the files it reads and writes."""
    with rasterio().Env(GDAL_CACHEMAX=CACHE_MIB):
        yield


def rasterio() -> Any:
    """The package.

    Raises:
        InputError: It is not installed.
    """
    try:
        import rasterio as package  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(
            "images by windows, georeferences and polygons need the package rasterio: "
            "pip install 'dualseg[geo]'"
        ) from None
    return package


def _window(top: int, left: int, size: Size) -> Any:
    from rasterio.windows import Window  # pyright: ignore[reportMissingImports]

    return Window(left, top, size[1], size[0])  # type: ignore[call-arg]


def _place_on_earth(file: "DatasetWriter", like: GeoTiff) -> None:
    points, points_crs = like.file.gcps
    if points:
        file.gcps = (points, points_crs)
        return
    if like.file.crs is not None:
        file.crs = like.file.crs
    if not like.file.transform.is_identity:
        file.transform = like.file.transform


def _colormap(labels: LabelSpec) -> dict[int, tuple[int, int, int, int]]:
    return {index: (*color, 255) for index, color in enumerate(labels.palette)}


def _opened(path: Path, mode: str, profile: dict[str, Any] | None = None) -> Any:
    """Without the warning that a file has no georeference, which most pictures have not."""
    package = rasterio()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", package.errors.NotGeoreferencedWarning)
        return package.open(utf8_name(path, "GDAL"), mode, driver="GTiff", **(profile or {}))


def _require_readable(path: Path) -> None:
    """GDAL writes the directory and the last blocks on closing; this reads the very last one."""
    with _opened(path, "r") as file:
        counts = [math.ceil(n / b) for n, b in zip(file.shape, file.block_shapes[0], strict=True)]
        file.read(1, window=file.block_window(1, counts[0] - 1, counts[1] - 1))


@contextmanager
def _faults_of(path: Path, *, writing: bool = False) -> Iterator[None]:
    errors = rasterio().errors
    try:
        yield
    except (errors.RasterioError, OSError) as error:
        reason = f"{error.__cause__ or error}"
        if not writing:
            raise InputError(f"{path} cannot be read as a TIFF: {reason}") from None
        if shutil.disk_usage(path.parent).free < SPARE_BYTES:
            raise DiskFullError(
                f"no space left to write {path}; free some space or choose another folder"
            ) from error
        raise InputError(f"cannot write {path}: {reason}") from error


def georeference_of(path: Path) -> tuple[str | None, Any]:
    """Name of the coordinate system and the transform of a TIFF; None for what has none.

    Raises:
        InputError: rasterio is not installed.
    """
    if not is_tiff(path):
        return None, None
    with _faults_of(path), _opened(path, "r") as file:
        if file.transform.is_identity:
            return None, None
        return (file.crs.to_string() if file.crs else None), file.transform
