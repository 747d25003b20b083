"""EXIF orientation: how a picture is turned for people, and what viewers make of odd values."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
Values = TypeVar("Values", bound=np.generic)


def orientation_of(image: Image.Image) -> int:
    """1 to 8; 1 for what says nothing. TIFF files count as upright, since Pillow turns them."""
    if image.format == "TIFF":
        return 1
    # A PNG's own getexif() decodes the whole file, in search of EXIF behind the pixels.
    turn = Image.Image.getexif(image).get(EXIF_ORIENTATION, 1)
    return turn if turn in TURNS else 1


def upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says; one outside 1 to 8 says nothing, as in viewers."""
    image.load()
    turn = TURNS.get(image.getexif().get(EXIF_ORIENTATION, 1))
    return image if turn is None or image.format == "TIFF" else image.transpose(turn)


def turned(pixels: NDArray[Values], orientation: int) -> NDArray[Values]:
    """The same turns as Pillow's, on an array (H, W) or (H, W, C)."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
