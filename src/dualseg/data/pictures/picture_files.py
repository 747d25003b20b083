"""Opening pictures of strangers: a few formats, a pixel budget, and errors that name the file."""

import errno
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from dualseg.core.errors import InputError
from dualseg.core.image_spec import MAX_PIXELS, ImageSpec
from dualseg.data.faults import ALLOWED, PictureError, picture_error
from dualseg.data.pictures.content import foreign_file
from dualseg.data.pictures.tiff import TiffLayout, is_tiff, read_layout
from dualseg.data.pictures.tiff_pages import MAX_TAGS, count_pages

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
# Above this size, an image of which a byte unpacks to so many pixels is one even colour or a trap.
SUSPICIOUS_PIXELS = 1 << 26
SUSPICIOUS_PIXELS_PER_BYTE = 250
MAX_JPEG_SCANS = 200  # encoders write about ten; each one costs as much as decoding the picture
CHUNK_BYTES = 1 << 20
START_BYTES = 16
# What decoders raise for damaged bytes; around nothing but calls of decoders.
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


@contextmanager
def opened(path: Path, *, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Opens a picture for reading; whatever goes wrong inside names the file.

    Args:
        path: The file.
        max_pixels: The budget, compared with what the header says.

    Raises:
        InputError: Missing, damaged, of another format, of several pages, or over the budget.
    """
    try:
        with decoding(str(path)):
            require_few_tags(path)
            image = _open(path)
            with image:
                require_budget(path, image.size, max_pixels)
                require_one_page(path, _num_pages(path, image))
                if image.format in ("JPEG", "MPO"):
                    _require_few_scans(path)
                yield image
    except FileNotFoundError:
        raise _not_there(path) from None
    except UnidentifiedImageError:
        raise foreign_file(path) from None
    except Image.DecompressionBombError:  # a part of it, while it is decoded
        raise too_large(path, f"has parts of more than {MAX_PIXELS:,} pixels") from None


def layout_of(path: Path, images: ImageSpec) -> TiffLayout | None:
    """Where the bands of a TIFF are; None for what Pillow reads: ordinary pictures of
    usual size, other formats, and TIFFs in colours that have to be turned into RGB.

    Raises:
        InputError: It is damaged, of several pages, or larger than `images.max_pixels`.
    """
    if (images.is_plain and images.max_pixels <= MAX_PIXELS) or not _opens_as_tiff(path):
        return None
    with decoding(str(path)):
        require_few_tags(path)
        layout = read_layout(path)
    if layout is not None:
        require_budget(path, (layout.width, layout.height), images.max_pixels)
        require_one_page(path, count_pages(path))
    return layout


@contextmanager
def decoding(origin: str) -> Iterator[None]:
    """Turns what a decoder raises for a damaged picture into an error that names the picture."""
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


def require_budget(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    """Refuses a (width, height) without a pixel, or with more than `max_pixels`."""
    width, height = size
    if width * height > max_pixels:
        found = f"is {width}x{height}, more than {max_pixels:,} pixels"
        fix = (
            f"cut it into tiles, or allow it: write max_pixels: {width * height} in dataset.yaml "
            "(data.max_pixels in a recipe)"
        )
        raise too_large(path, found, fix)
    if not width or not height:
        raise picture_error("E110", path, f"is {width}x{height}, without a pixel", "save it anew")


def require_one_page(path: Path, pages: int) -> None:
    """Refuses a file of several pictures, of which one would be taken and the others lost."""
    if pages > 1:
        raise picture_error(
            "E111",
            path,
            f"has {pages} pages or frames",
            "save each as a file of its own",
            expected="one picture a file",
        )


def require_worth(path: Path, size: tuple[int, int]) -> None:
    """Images only: a large label file of one class is small, and right."""
    pixels, stored = size[0] * size[1], path.stat().st_size
    if pixels > SUSPICIOUS_PIXELS and pixels > SUSPICIOUS_PIXELS_PER_BYTE * stored:
        found = f"unpacks {stored:,} bytes to {size[0]}x{size[1]} pixels, as bombs do"
        raise too_large(path, found)


def require_few_tags(path: Path) -> None:
    """A BigTIFF's directory may announce any number of tags; a million take Pillow a second."""
    with open(path, "rb") as file:
        head = file.read(16)
        order = {b"II+\0": "<", b"MM\0+": ">"}.get(head[:4])
        if order is None or len(head) < 16:
            return
        file.seek(min(struct.unpack(f"{order}Q", head[8:])[0], path.stat().st_size))
        count = file.read(8)
    if len(count) == 8 and (tags := struct.unpack(f"{order}Q", count)[0]) > MAX_TAGS:
        raise too_large(path, f"is a TIFF of {tags:,} tags")


def too_large(path: Path, found: str, fix: str = "cut it into tiles") -> PictureError:
    """A picture that costs more than it is worth."""
    return picture_error("E112", path, found, fix, expected=f"{ALLOWED} of usual size")


def _open(path: Path) -> Image.Image:
    """Reads the header; the budget is ours, not Pillow's, so that it can be raised for one file."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return Image.open(path, formats=FORMATS)
        except Image.DecompressionBombError:
            pass
    with open(path, "rb") as file:
        start = file.read(START_BYTES)
    for name in FORMATS:
        read_header, accepts = Image.OPEN[name]
        if accepts is None or accepts(start) is True:
            return read_header(str(path), str(path))  # type: ignore[arg-type]
    raise UnidentifiedImageError(path)


def _num_pages(path: Path, image: Image.Image) -> int:
    if image.format == "MPO":  # a JPEG; behind it lie other views of it, or its brightness
        return 1
    return count_pages(path) if image.format == "TIFF" else getattr(image, "n_frames", 1)


def _opens_as_tiff(path: Path) -> bool:
    try:
        return is_tiff(path)
    except OSError:  # the reader that comes next says what is wrong
        return False


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


def _require_few_scans(path: Path) -> None:
    scans, before = 0, b""
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            scans += (before + chunk).count(b"\xff\xda")
            before = chunk[-1:]
    if scans > MAX_JPEG_SCANS:
        raise too_large(path, f"is a JPEG of {scans:,} scans, each decoded anew")
