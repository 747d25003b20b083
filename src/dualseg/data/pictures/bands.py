"""Images as a data set declares them: which bands, and what is black and white.

Files of eight bits stay uint8. Deeper ones become float32, scaled linearly so that 255 is white
there too: nothing is rounded to 256 levels and nothing is clipped. float32 keeps all 65536 levels
of 16 bits apart; of 32 bits and doubles it keeps about seven digits.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec, Pixels
from dualseg.data.faults import PictureError, picture_error
from dualseg.data.pictures.images import DEEP_MODES, is_deep, raw_mode_of, rgb_pixels
from dualseg.data.pictures.orientation import orientation_of, turned, upright
from dualseg.data.pictures.picture_files import (
    SUSPICIOUS_PIXELS,
    SUSPICIOUS_PIXELS_PER_BYTE,
    decoding,
    layout_of,
    opened,
    require_worth,
    too_large,
)
from dualseg.data.pictures.tiff import TiffLayout
from dualseg.data.pictures.tiff_pixels import Window, read_window

BANDS_OF_A_PICTURE = 4  # an image of more bands counts as so much larger
WHITES = (1, 255, 1023, 4095, 16383, 65535)

Values = NDArray[np.generic]


def read_pixels(path: Path, images: ImageSpec) -> Pixels:
    """An image as the data set declares it.

    Args:
        path: The file.
        images: Bands and values.

    Returns:
        (H, W, C): uint8, or float32 in 0..255 from a file of more than eight bits a band. EXIF
        orientation is applied.

    Raises:
        InputError: The file is missing, damaged or too large, has other bands than declared, or
            holds NaN, or values beyond those declared.
    """
    layout = layout_of(path, images)
    if layout is None:
        return _read_picture(path, images)
    used = used_bands(path, layout.samples, images)
    _require_affordable(path, layout, len(set(used)), images)
    with decoding(str(path)):
        values = turned(read_window(path, layout, used), layout.orientation)
    return finished(values, images, origin=path)


def read_part(path: Path, images: ImageSpec, window: Window) -> Pixels:
    """A window of an image as displayed. Of an upright TIFF only the tiles in it are decoded; other
    files are decoded whole.

    Raises:
        InputError: As `read_pixels`, but damage and wrong values outside the window are not met.
    """
    layout = layout_of(path, images)
    if layout is None or layout.orientation != 1:
        rows = slice(window.top, window.top + window.height)
        return read_pixels(path, images)[rows, window.left : window.left + window.width]
    used = used_bands(path, layout.samples, images)
    with decoding(str(path)):
        values = read_window(path, layout, used, window)
    return finished(values, images, origin=path)


def pixels_of_picture(image: Image.Image, images: ImageSpec, *, origin: str) -> Pixels:
    """The same of a Pillow image, which needs no file.

    Raises:
        InputError: It is damaged, has other bands than declared, or values beyond those declared.
    """
    if images.is_plain or (images.channels == 3 and not is_deep(image)):
        return rgb_pixels(image, origin=origin)
    with decoding(origin):
        if image.mode not in DEEP_MODES and is_deep(image):
            raise InputError(
                f"{origin} has 16 bits a channel, of which Pillow keeps eight; give the file's "
                "path in its place"
            )
        values = np.asarray(upright(image)) if is_deep(image) else _shallow_values(image)
    return finished(_chosen(origin, values, images), images, origin=origin)


def used_bands(origin: str | Path, available: int, images: ImageSpec) -> tuple[int, ...]:
    """Which of a file's bands to read, counted from 0; of gray that is shown as RGB only the one.

    Raises:
        InputError: The file has not the bands that are declared.
    """
    channels = images.channels
    if isinstance(channels, tuple):
        if max(channels) > available:
            raise _other_bands(origin, available, f"band {max(channels)} too")
        return tuple(number - 1 for number in channels)
    if channels == 3 and available <= BANDS_OF_A_PICTURE:
        return (0, 1, 2) if available >= 3 else (0,)  # alpha is dropped
    if channels != available:
        raise _other_bands(origin, available, f"{channels} band{'s' * (channels > 1)}")
    return tuple(range(available))


def finished(values: Values, images: ImageSpec, *, origin: str | Path) -> Pixels:
    """Values as they stand in the file -> uint8 as they are, others scaled to 0..255.

    Args:
        values: (H, W, C) of any real type.
        images: What is black and white.
        origin: What the messages call it.

    Raises:
        InputError: Values are NaN or infinite, beyond those declared, or nothing is declared.
    """
    if values.dtype == np.uint8:
        return np.ascontiguousarray(_as_declared(values, images), np.uint8)
    _require_numbers(values, origin)
    low, high = float(values.min()), float(values.max())
    black, white = images.min_value, images.max_value
    if white is None:
        raise too_deep(origin, values.dtype.name, low, high)
    if low < black or high > white:
        raise picture_error(
            "E106",
            origin,
            f"holds values from {low:g} to {high:g}",
            f"declare the smallest and largest value of all images in place of {black:g} and "
            f"{white:g} (min_value, max_value in dataset.yaml)",
            expected=f"values from {black:g} to {white:g}",
        )
    exact = np.float32 if values.dtype.itemsize <= 2 or values.dtype == np.float32 else np.float64
    scaled = values.astype(exact)
    scaled -= black
    scaled *= 255.0 / (white - black)
    return np.ascontiguousarray(_as_declared(scaled, images), np.float32)


def too_deep(origin: str | Path, kind: str, low: float, high: float) -> PictureError:
    """More than eight bits a band, and nobody said what is white."""
    white = next((w for w in WHITES if high <= w), None)
    example = f"{white}" if white else f"{high:g} or above"
    black = "" if low >= 0 else f" and min_value: {low:g}"
    return picture_error(
        "E106",
        origin,
        f"holds {kind} values from {low:g} to {high:g} (more than 8 bits a channel)",
        "convert it to 8-bit RGB first, or declare what is white in all images: write "
        f"max_value: {example}{black} in dataset.yaml (data.max_value in a recipe)",
        expected="8 bits a channel, or a declared max_value",
    )


def _as_declared(values: Values, images: ImageSpec) -> Values:
    """Gray as three equal bands where colours are asked for."""
    if images.channels == 3 and values.shape[2] == 1:
        return np.repeat(values, 3, axis=2)
    return values


def _require_affordable(path: Path, layout: TiffLayout, bands: int, images: ImageSpec) -> None:
    values = layout.height * layout.width * bands
    if values > BANDS_OF_A_PICTURE * images.max_pixels:
        found = f"is {layout.width}x{layout.height} with {bands} bands, {values:,} values"
        enough = -(-values // BANDS_OF_A_PICTURE)
        raise too_large(path, found, f"use fewer bands, or write max_pixels: {enough}")
    raw = layout.height * layout.width * layout.samples * layout.dtype.itemsize
    stored = path.stat().st_size
    if raw > 3 * SUSPICIOUS_PIXELS and raw > 3 * SUSPICIOUS_PIXELS_PER_BYTE * stored:
        raise too_large(path, f"unpacks {stored:,} bytes to {raw:,}, as bombs do")


def _require_numbers(values: Values, origin: str | Path) -> None:
    if values.dtype.kind != "f":
        return
    number = int(values.size - np.count_nonzero(np.isfinite(values)))
    if number:
        raise picture_error(
            "E107",
            origin,
            f"holds {number} values that are no number (NaN or infinite)",
            "fill them before training",
            expected="finite values",
        )


def _read_picture(path: Path, images: ImageSpec) -> Pixels:
    """What Pillow opens."""
    with opened(path, max_pixels=images.max_pixels) as image:
        require_worth(path, image.size)
        if images.channels == 3 and not is_deep(image):
            return rgb_pixels(image, origin=str(path))
        with decoding(str(path)):
            values = _deep_values(path, image) if is_deep(image) else _shallow_values(image)
    return finished(_chosen(path, values, images), images, origin=path)


def _chosen(origin: str | Path, values: Values, images: ImageSpec) -> Values:
    values = values[..., None] if values.ndim == 2 else values
    return values[..., list(used_bands(origin, values.shape[2], images))]


def _other_bands(origin: str | Path, available: int, wanted: str) -> PictureError:
    some = ", ".join(map(str, range(1, min(available, 3) + 1)))
    return picture_error(
        "E108",
        origin,
        f"has {available} band{'s' * (available > 1)}",
        f"give files with these bands, or write channels: {available} in dataset.yaml, or a list "
        f"of the bands to use, such as channels: [{some}]",
        expected=wanted,
    )


def _shallow_values(image: Image.Image) -> Values:
    """(H, W) or (H, W, C) uint8: bands as stored, palettes and CMYK as colours."""
    image = upright(image)
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode == "PA":
        image = image.convert("RGBA")
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "RGBX"):
        image = image.convert("RGB")
    return np.asarray(image)


def _deep_values(path: Path, image: Image.Image) -> Values:
    """(H, W) or (H, W, C) values as they stand in the file, turned upright."""
    if image.mode in DEEP_MODES:
        return np.asarray(upright(image))
    turn, is_gray_alpha = orientation_of(image), raw_mode_of(image).startswith("LA")
    image.load()  # finds damage, which OpenCV passes over; but keeps the upper eight bits alone
    stored = np.frombuffer(path.read_bytes(), np.uint8)
    pixels = cv2.imdecode(stored, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its 16-bit colours cannot be decoded")
    values = turned(cast(NDArray[np.uint16], pixels), turn)
    if values.ndim == 2 or values.shape[2] == 2:
        return values
    order: Sequence[int] = (2, 3) if is_gray_alpha else (2, 1, 0, 3)[: values.shape[2]]
    return values[..., list(order)]
