"""Reading and writing pictures: a few formats, a pixel budget, and one rule for orientation."""

import errno
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dualseg.core.errors import InputError
from dualseg.core.files import write_atomic
from dualseg.core.geometry import Size
from dualseg.core.labels import Color, LabelSpec
from dualseg.data.content import foreign_file
from dualseg.data.faults import ALLOWED, PictureError, picture_error

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
MAX_PIXELS = 178_956_970  # Pillow's own limit; read from the header, before decoding
# Above this size, an image of which a byte unpacks to so many pixels is one even colour or a trap.
SUSPICIOUS_PIXELS = 1 << 26
SUSPICIOUS_PIXELS_PER_BYTE = 250
MAX_JPEG_SCANS = 200  # encoders write about ten; each one costs as much as decoding the picture
MAX_TIFF_TAGS = 10_000  # about twenty are usual; Pillow takes a second for a million
CHUNK_BYTES = 1 << 20
EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
DEEP_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
LABEL_MODES = frozenset({"1", "L", "P", "I", "I;16", "I;16L", "I;16B"})
EXIF_ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What decoders raise for damaged bytes; around nothing but calls of Pillow.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
_ONE_AT_A_TIME = threading.Lock()  # what warnings are shown is the same for all threads


class PictureFacts(NamedTuple):
    """What is known of a picture without its pixels.

    size is (height, width) as displayed; kind is Pillow's mode, with `;16` behind it where a colour
    has 16 bits; orientation is the one of EXIF, 1 for upright.
    """

    size: Size
    kind: str
    orientation: int


def read_image(path: Path, *, max_value: int | None = None) -> NDArray[np.uint8]:
    """An image as people see it: EXIF orientation applied, gray, palette and CMYK turned into RGB.

    Args:
        path: The file.
        max_value: The value that is white in files of more than eight bits a channel, for example
            65535 or 4095. Their values are scaled to 0..255 and rounded, never clipped. Files of
            eight bits are read as they are.

    Returns:
        (H, W, 3) uint8 RGB. An alpha channel is dropped.

    Raises:
        InputError: The file is missing, damaged, of another format, too large, or has more than
            eight bits a channel and no `max_value`, or a value above it or below 0, or NaN.
    """
    with _opened(path) as image:
        _require_worth(path, image.size)
        if _is_deep(image):
            return _scaled(path, image, max_value)
        return rgb_pixels(image, origin=str(path))


def rgb_pixels(image: Image.Image, *, origin: str) -> NDArray[np.uint8]:
    """The pixels of a Pillow image by the rules of `read_image`.

    Args:
        image: Of any mode; one that is not decoded yet is decoded.
        origin: What the messages call it.

    Raises:
        InputError: It is damaged, or has more than eight bits a channel.
    """
    if image.mode not in EIGHT_BIT_MODES or _is_deep(image):
        raise _too_deep(origin, image)
    with _decoding(origin):
        return np.asarray(_upright(image).convert("RGB"))


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
            raise picture_error(
                "E104",
                path,
                f"is a {kind} picture (mode {image.mode})",
                "save the masks as 8-bit gray or palette PNG",
                expected="one class id a pixel",
            )
        with _decoding(str(path)):
            values = np.asarray(_upright(image))
        if values.dtype in (np.uint8, np.bool_):
            return values.astype(np.uint8, copy=False)
        return values.astype(np.int32)


def inspect_image(path: Path) -> PictureFacts:
    """Decodes an image to find damage, without turning it into RGB.

    Raises:
        InputError: As `read_image`, but for values of more than eight bits.
    """
    with _opened(path) as image:
        _require_worth(path, image.size)
        facts = _facts(image)
        with _decoding(str(path)):
            # A JPEG's bytes are all read, but an eighth of its width and height is drawn.
            image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
            image.load()
        return facts


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
        return _facts(image).size


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


def _facts(image: Image.Image) -> PictureFacts:
    width, height = image.size
    kind = f"{image.mode};16" if image.mode not in DEEP_MODES and _is_deep(image) else image.mode
    if image.format == "TIFF":  # Pillow has turned the size itself
        return PictureFacts((height, width), kind, 1)
    # A PNG's own getexif() decodes the whole file, in search of EXIF behind the pixels.
    turn = Image.Image.getexif(image).get(EXIF_ORIENTATION, 1)
    turn = turn if turn in TURNS else 1
    return PictureFacts((width, height) if turn >= 5 else (height, width), kind, turn)


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says; one outside 1 to 8 says nothing, as in viewers."""
    image.load()
    turn = TURNS.get(image.getexif().get(EXIF_ORIENTATION, 1))
    return image if turn is None or image.format == "TIFF" else image.transpose(turn)


def _is_deep(image: Image.Image) -> bool:
    """More than eight bits a channel, also where Pillow would drop the lower ones in silence."""
    if image.mode in DEEP_MODES:
        return True
    if not isinstance(image, Image.Image) or not getattr(image, "tile", None):
        return False
    arguments = image.tile[0][3]  # type: ignore[attr-defined]
    raw_mode = arguments if isinstance(arguments, str) else (arguments or ("",))[0]
    return isinstance(raw_mode, str) and ";16" in raw_mode


def _too_deep(origin: str | Path, image: Image.Image) -> PictureError:
    return picture_error(
        "E106",
        origin,
        f"has pixel mode {image.mode} (more than 8 bits a channel)",
        "convert it to 8-bit RGB first, or declare the value that is white (max_value)",
        expected="8 bits a channel",
    )


def _scaled(path: Path, image: Image.Image, max_value: int | None) -> NDArray[np.uint8]:
    """A picture of more than eight bits as (H, W, 3) uint8."""
    with _decoding(str(path)):
        values = _deep_values(path, image)
    if not np.isfinite(values).all():
        number = int(np.count_nonzero(~np.isfinite(values)))
        raise picture_error(
            "E107",
            path,
            f"holds {number} values that are no number (NaN or infinite)",
            "fill them before training",
            expected="finite values",
        )
    if max_value is None:
        raise _too_deep(path, image)
    low, high = values.min(), values.max()
    if low < 0 or high > max_value:
        raise picture_error(
            "E106",
            path,
            f"holds values from {low:g} to {high:g}",
            f"declare the largest value of all images in place of {max_value}",
            expected=f"values from 0 to {max_value}",
        )
    scaled = np.floor(values.astype(np.float32) * (255 / max_value) + 0.5).astype(np.uint8)
    return np.dstack([scaled] * 3) if scaled.ndim == 2 else scaled


def _deep_values(path: Path, image: Image.Image) -> NDArray[np.generic]:
    """(H, W) or (H, W, 3) values as they stand in the file, turned upright."""
    if image.mode in DEEP_MODES:
        return np.asarray(_upright(image))
    turn = _facts(image).orientation
    image.load()  # finds damage, which OpenCV passes over; but keeps the upper eight bits alone
    stored = np.frombuffer(path.read_bytes(), np.uint8)
    pixels = cv2.imdecode(stored, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its 16-bit colours cannot be decoded")
    if image.format == "TIFF" and pixels.shape[:2] != (image.height, image.width):
        raise ValueError("a turned TIFF of 16-bit colours; save it upright")
    if pixels.ndim == 3:
        gray_alpha = pixels.shape[2] == 2
        pixels = pixels[..., 0] if gray_alpha else pixels[..., 2::-1]
    return _turned(pixels, turn)


def _turned(pixels: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """The same turns as Pillow's, on an array."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Opens a picture for reading; whatever goes wrong inside names the file."""
    try:
        with _decoding(str(path)):
            _require_few_tags(path)
            with _ONE_AT_A_TIME, warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = Image.open(path, formats=FORMATS)
            with image:
                _require_budget(path, image.size)
                if image.format in ("JPEG", "MPO"):
                    _require_few_scans(path)
                yield image
    except FileNotFoundError:
        raise _not_there(path) from None
    except UnidentifiedImageError:
        raise foreign_file(path) from None
    except Image.DecompressionBombError:
        raise _too_large(path, f"has more than {MAX_PIXELS:,} pixels") from None


@contextmanager
def _decoding(origin: str) -> Iterator[None]:
    """Turns what Pillow raises for a damaged picture into an error that names the picture."""
    try:
        yield
    except (InputError, FileNotFoundError, UnidentifiedImageError):
        raise
    except IsADirectoryError:
        raise picture_error("E102", origin, "is a folder", "name the file in it") from None
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not Pillow's
            raise _not_readable(origin, error) from None
        reason = str(error) or type(error).__name__
        if "too large" in reason or "Too much memory" in reason:
            found = f"unpacks to far more than a picture needs ({reason})"
            fix = "save it anew without text and colour profile"
            raise picture_error("E112", origin, found, fix) from None
        found, fix = f"cannot be read as image ({reason}); is it cut off?", "copy or fetch it again"
        raise picture_error("E110", origin, found, fix, expected="") from None


def _not_readable(origin: str, error: OSError) -> PictureError:
    if error.errno == errno.ELOOP:
        found, fix = "is a link that leads back to itself (a loop)", "remove the link"
    else:
        found, fix = f"cannot be opened ({error.strerror})", "give the right to read it"
    return picture_error("E102", origin, found, fix)


def _not_there(path: Path) -> PictureError:
    if path.is_symlink():
        found = f"is a link to {path.readlink()}, which is not there"
        return picture_error("E102", path, found, "restore what it points to, or remove the link")
    error = picture_error("E102", path, "is not there", "restore it, or remove its partner")
    return PictureError(error.fault, f"there is no file {path}")


def _require_budget(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise _too_large(path, f"is {width}x{height}, more than {MAX_PIXELS:,} pixels")
    if not width or not height:
        raise picture_error("E110", path, f"is {width}x{height}, without a pixel", "save it anew")


def _require_worth(path: Path, size: tuple[int, int]) -> None:
    """Images only: a large label file of one class is small, and right."""
    pixels, stored = size[0] * size[1], path.stat().st_size
    if pixels > SUSPICIOUS_PIXELS and pixels > SUSPICIOUS_PIXELS_PER_BYTE * stored:
        raise _too_large(
            path, f"unpacks {stored:,} bytes to {size[0]}x{size[1]} pixels, as bombs do"
        )


def _require_few_scans(path: Path) -> None:
    scans, before = 0, b""
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            scans += (before + chunk).count(b"\xff\xda")
            before = chunk[-1:]
    if scans > MAX_JPEG_SCANS:
        raise _too_large(path, f"is a JPEG of {scans:,} scans, each decoded anew")


def _require_few_tags(path: Path) -> None:
    """A BigTIFF's directory may announce any number of tags."""
    with open(path, "rb") as file:
        head = file.read(16)
        order = {b"II+\0": "<", b"MM\0+": ">"}.get(head[:4])
        if order is None or len(head) < 16:
            return
        file.seek(min(struct.unpack(f"{order}Q", head[8:])[0], path.stat().st_size))
        count = file.read(8)
    if len(count) == 8 and (tags := struct.unpack(f"{order}Q", count)[0]) > MAX_TIFF_TAGS:
        raise _too_large(path, f"is a TIFF of {tags:,} tags")


def _too_large(path: Path, found: str) -> PictureError:
    return picture_error(
        "E112", path, found, "cut it into tiles", expected=f"{ALLOWED} of usual size"
    )
