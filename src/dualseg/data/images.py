"""Reading and writing pictures: a few formats, a pixel budget, and one rule for orientation."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from dualseg.core.errors import InputError
from dualseg.core.files import write_atomic
from dualseg.core.geometry import Size
from dualseg.core.labels import Color, LabelSpec

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
MAX_PIXELS = 178_956_970  # Pillow's own limit; read from the header, before decoding
EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
LABEL_MODES = frozenset({"1", "L", "P", "I", "I;16", "I;16L", "I;16B"})
EXIF_ORIENTATION = 0x0112
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, struct.error)


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image as people see it: EXIF orientation applied, gray, palette and CMYK turned into RGB.

    Returns:
        (H, W, 3) uint8 RGB. An alpha channel is dropped.

    Raises:
        InputError: The file is missing, damaged, of another format, too large, or has more than
            eight bits a channel.
    """
    with _opened(path) as image:
        return rgb_pixels(image, origin=str(path))


def rgb_pixels(image: Image.Image, *, origin: str) -> NDArray[np.uint8]:
    """The pixels of a Pillow image by the rules of `read_image`.

    Args:
        image: Of any mode; one that is not decoded yet is decoded.
        origin: What the messages call it.

    Raises:
        InputError: It is damaged, or has more than eight bits a channel.
    """
    if image.mode not in EIGHT_BIT_MODES:
        raise InputError(
            f"{origin} has pixel mode {image.mode} (more than 8 bits a channel); "
            "convert it to 8-bit RGB first"
        )
    with _decoding(origin):
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def read_label_values(path: Path) -> NDArray[np.int32] | NDArray[np.uint8]:
    """Raw values of a label file, whatever their width: palette indices, 0/1 of one-bit files.

    Returns:
        (H, W) int32, or uint8 where the file has no more than eight bits; EXIF orientation is
        applied as to images.

    Raises:
        InputError: As `read_image`, or the file holds colours or fractions in place of ids.
    """
    with _opened(path) as image:
        if image.mode not in LABEL_MODES:
            kind = "floating-point" if image.mode == "F" else "colour"
            raise InputError(
                f"{path} is a {kind} picture (mode {image.mode}), but a label file holds one class "
                "id a pixel; save the masks as 8-bit gray or palette PNG"
            )
        values = np.asarray(ImageOps.exif_transpose(image))
        if values.dtype in (np.uint8, np.bool_):
            return values.astype(np.uint8, copy=False)
        return values.astype(np.int32)


def read_palette(path: Path) -> tuple[Color, ...] | None:
    """The colours of a palette file, in the order of its indices; None for other files.

    Raises:
        InputError: As `read_image`.
    """
    with _opened(path) as image:
        flat = image.getpalette("RGB") if image.mode == "P" else None
        if flat is None:
            return None
        return tuple(zip(flat[0::3], flat[1::3], flat[2::3], strict=True))


def read_size(path: Path) -> Size:
    """(height, width) as displayed, from the header alone: the pixels may still be damaged.

    Raises:
        InputError: The header cannot be read.
    """
    with _opened(path) as image:
        width, height = image.size
        if image.format == "TIFF":  # Pillow has turned the size itself
            return height, width
        # A PNG's own getexif() decodes the whole file, in search of EXIF behind the pixels.
        turned = Image.Image.getexif(image).get(EXIF_ORIENTATION, 1) >= 5
        return (width, height) if turned else (height, width)


def write_label_png(path: Path, label_map: NDArray[np.uint8], labels: LabelSpec) -> None:
    """Writes class ids as a PNG of mode P with the palette, whole or not at all.

    Args:
        path: Ends in .png.
        label_map: (H, W) class ids, or the ignored one, which is drawn black.
        labels: Gives the palette.
    """
    palette = np.zeros((256, 3), np.uint8)
    palette[: labels.num_classes] = labels.palette
    picture = Image.fromarray(label_map)
    picture.putpalette(palette.tobytes())
    write_atomic(path, lambda file: picture.save(file, format="PNG"))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Opens a picture for reading; whatever goes wrong inside names the file."""
    try:
        with _decoding(str(path)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = Image.open(path, formats=FORMATS)
            with image:
                _require_budget(path, image.size)
                yield image
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except UnidentifiedImageError:
        raise InputError(f"{path} {_what_it_is(path)}; allowed are {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path} has more than {MAX_PIXELS:,} pixels; cut it into tiles") from None


@contextmanager
def _decoding(origin: str) -> Iterator[None]:
    """Turns what Pillow raises for a damaged picture into an error that names the picture."""
    try:
        yield
    except (InputError, FileNotFoundError, UnidentifiedImageError):
        raise
    except DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"{origin} cannot be read as image ({reason}); is it cut off?") from None


def _require_budget(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{path} is {width}x{height}, more than {MAX_PIXELS:,} pixels; cut it into tiles"
        )


def _what_it_is(path: Path) -> str:
    try:
        start = path.open("rb").read(256).lstrip().lower()
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    if not start:
        return "is empty (zero bytes)"
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<svg")):
        return "is a web page or SVG, not an image (a failed download?)"
    return "is no image of a known format"
