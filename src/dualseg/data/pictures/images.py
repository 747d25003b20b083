"""Reading and writing pictures: a few formats, a pixel budget, and one rule for orientation.

Images of other than eight bits in three colours are read by `bands.py`, as a data set declares.
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dualseg.core.files import write_bytes
from dualseg.core.geometry import Size
from dualseg.core.image_spec import MAX_PIXELS, ImageSpec
from dualseg.core.labels import Color, LabelSpec
from dualseg.data.faults import PictureError, picture_error
from dualseg.data.pictures.orientation import orientation_of, upright
from dualseg.data.pictures.picture_files import decoding, layout_of, opened, require_worth

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
DEEP_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
LABEL_MODES = frozenset({"1", "L", "P", "I", "I;16", "I;16L", "I;16B"})
PLAIN = ImageSpec()


class PictureFacts(NamedTuple):
    """What is known of a picture without its pixels.

    size is (height, width) as displayed; kind is Pillow's mode, with `;16` behind it where a colour
    has 16 bits, or the bands of a TIFF; orientation is the one of EXIF, 1 for upright.
    """

    size: Size
    kind: str
    orientation: int


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """An image as people see it: EXIF orientation applied, gray, palette and CMYK turned into RGB.

    Args:
        path: The file.
        max_pixels: Larger ones are refused by their header.

    Returns:
        (H, W, 3) uint8 RGB. An alpha channel is dropped.

    Raises:
        InputError: The file is missing, damaged, of another format, too large, or has more than
            eight bits a channel.
    """
    with opened(path, max_pixels=max_pixels) as image:
        require_worth(path, image.size)
        return rgb_pixels(image, origin=str(path))


def rgb_pixels(image: Image.Image, *, origin: str) -> NDArray[np.uint8]:
    """The pixels of a Pillow image by the rules of `read_image`.

    Args:
        image: Of any mode; one that is not decoded yet is decoded.
        origin: What the messages call it.

    Raises:
        InputError: It is damaged, or has more than eight bits a channel.
    """
    if image.mode not in EIGHT_BIT_MODES or is_deep(image):
        raise _too_deep(origin, image)
    with decoding(origin):
        return np.asarray(upright(image).convert("RGB"))


def read_label_values(
    path: Path, *, max_pixels: int = MAX_PIXELS
) -> NDArray[np.int32] | NDArray[np.uint8]:
    """Raw values of a label file, whatever their width: palette indices, 0/1 of one-bit files.

    Args:
        path: The file.
        max_pixels: As of `read_image`.

    Returns:
        (H, W) int32, or uint8 where the file has no more than eight bits; EXIF orientation is
        applied as to images.

    Raises:
        InputError: As `read_image`, or the file holds colours or fractions in place of ids.
    """
    with opened(path, max_pixels=max_pixels) as image:
        if image.mode not in LABEL_MODES:
            kind = "floating-point" if image.mode == "F" else "colour"
            raise picture_error(
                "E104",
                path,
                f"is a {kind} picture (mode {image.mode})",
                "save the masks as 8-bit gray or palette PNG",
                expected="one class id a pixel",
            )
        with decoding(str(path)):
            values = np.asarray(upright(image))
        if values.dtype in (np.uint8, np.bool_):
            return values.astype(np.uint8, copy=False)
        return values.astype(np.int32)


def inspect_image(path: Path, images: ImageSpec = PLAIN) -> PictureFacts:
    """Decodes an image to find damage, without turning it into RGB. Of TIFFs in other bands or
    values than `images` calls plain, only the header is read.

    Raises:
        InputError: As `read_pixels`, but for values of more than eight bits.
    """
    layout = layout_of(path, images)
    if layout is not None:
        return PictureFacts(layout.size, layout.kind, layout.orientation)
    with opened(path, max_pixels=images.max_pixels) as image:
        require_worth(path, image.size)
        facts = facts_of(image)
        with decoding(str(path)):
            # A JPEG's bytes are all read, but an eighth of its width and height is drawn.
            image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
            image.load()
        return facts


def read_palette(path: Path, *, max_pixels: int = MAX_PIXELS) -> tuple[Color, ...] | None:
    """The colours of a palette file, in the order of its indices; None for other files.

    Raises:
        InputError: As `read_image`.
    """
    with opened(path, max_pixels=max_pixels) as image:
        flat = image.getpalette("RGB") if image.mode == "P" else None
        if flat is None:
            return None
        return tuple(zip(flat[0::3], flat[1::3], flat[2::3], strict=True))


def read_size(path: Path, images: ImageSpec = PLAIN) -> Size:
    """(height, width) as displayed, from the header alone: the pixels may still be damaged.

    Raises:
        InputError: The header cannot be read, or the image is larger than `images` allows.
    """
    layout = layout_of(path, images)
    if layout is not None:
        return layout.size
    with opened(path, max_pixels=images.max_pixels) as image:
        return facts_of(image).size


def read_orientation(path: Path, *, max_pixels: int = MAX_PIXELS) -> int:
    """EXIF's, from the header alone: 1 for upright, to 8.

    Raises:
        InputError: As `read_size`.
    """
    with opened(path, max_pixels=max_pixels) as image:
        return facts_of(image).orientation


def write_label_png(path: Path, label_map: NDArray[np.uint8], labels: LabelSpec) -> None:
    """Writes class ids as a PNG of mode P with the palette, whole or not at all.

    Args:
        path: Ends in .png.
        label_map: (H, W) class ids, or the ignored one, which is drawn black.
        labels: Gives the palette.
    """
    write_bytes(path, label_png(label_map, labels))


def label_png(label_map: NDArray[np.uint8], labels: LabelSpec) -> bytes:
    """The content of what `write_label_png` writes."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: labels.num_classes] = labels.palette
    picture, file = Image.fromarray(label_map), io.BytesIO()
    picture.putpalette(palette.tobytes())
    picture.save(file, format="PNG")
    return file.getvalue()


def facts_of(image: Image.Image) -> PictureFacts:
    """What the header of an opened picture says."""
    width, height = image.size
    kind = f"{image.mode};16" if image.mode not in DEEP_MODES and is_deep(image) else image.mode
    turn = orientation_of(image)
    return PictureFacts((width, height) if turn >= 5 else (height, width), kind, turn)


def is_deep(image: Image.Image) -> bool:
    """More than eight bits a channel, also where Pillow would drop the lower ones in silence."""
    if image.mode in DEEP_MODES:
        return True
    return ";16" in raw_mode_of(image)


def raw_mode_of(image: Image.Image) -> str:
    """How the pixels stand in the file, `RGB;16B` for example; empty once they are decoded."""
    if not getattr(image, "tile", None):
        return ""
    arguments = image.tile[0][3]  # type: ignore[attr-defined]
    raw_mode = arguments if isinstance(arguments, str) else (arguments or ("",))[0]
    return raw_mode if isinstance(raw_mode, str) else ""


def _too_deep(origin: str | Path, image: Image.Image) -> PictureError:
    return picture_error(
        "E106",
        origin,
        f"has pixel mode {image.mode} (more than 8 bits a channel)",
        "convert it to 8-bit RGB first, or declare what is white: write max_value: 65535 in "
        "dataset.yaml (data.max_value in a recipe)",
        expected="8 bits a channel",
    )
