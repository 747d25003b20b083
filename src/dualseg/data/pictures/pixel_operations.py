"""cv2 on images of any number of bands, uint8 or float32 in 0..255.

cv2 drops the last axis of images of one band, and refuses more than four in places.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from dualseg.core.geometry import Size
from dualseg.core.image_spec import Pixels

BANDS_AT_ONCE = 4
LUMINANCE = (0.299, 0.587, 0.114)

Picture = TypeVar("Picture", bound=NDArray)


def resize(picture: Picture, size: Size, method: int) -> Picture:
    """(H, W, C) or (H, W) -> (height, width) = `size`, by one of cv2's interpolations."""
    height, width = size
    return _in_groups(picture, lambda p: cv2.resize(p, (width, height), interpolation=method))


def mirror(picture: Picture) -> Picture:
    """Left and right exchanged."""
    return _in_groups(picture, lambda p: cv2.flip(p, 1))


def surround(picture: Picture, size: Size, offset: Size, color: Sequence[float]) -> Picture:
    """The picture at `offset`, (top, left), in a larger one of `size`; the rest has one colour.

    cv2 writes the border fifty times as fast as numpy repeats a colour.
    """
    height, width = picture.shape[:2]
    top, left = offset
    border = (top, size[0] - height - top, left, size[1] - width - left)
    if picture.ndim == 2 or 1 < picture.shape[2] <= BANDS_AT_ONCE:
        values = [float(value) for value in color]
        around = cv2.copyMakeBorder(picture, *border, cv2.BORDER_CONSTANT, value=values)
        return cast(Picture, around)
    around = np.empty((*size, picture.shape[2]), picture.dtype)
    around[:] = color
    around[top : top + height, left : left + width] = picture
    return cast(Picture, around)


def mean_color(image: Pixels) -> Pixels:
    """(C,), rounded where the image holds bytes."""
    if image.shape[2] <= BANDS_AT_ONCE:
        mean = np.asarray(cv2.mean(image)[: image.shape[2]])
    else:
        mean = image.mean(axis=(0, 1), dtype=np.float64)
    return np.round(mean).astype(np.uint8) if image.dtype == np.uint8 else mean.astype(np.float32)


def change_colors(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Random brightness, contrast, saturation and colour balance.

    Bytes end at 0 and 255; float32 values may leave that range.

    Args:
        image: (H, W, C).
        strength, random: See `draw_color_change`.
    """
    bands = image.shape[2]
    matrix, lift = draw_color_change(bands, strength, random)
    mean = float(image[::4, ::4].mean()) * lift
    matrix = np.hstack([matrix, np.full((bands, 1), mean)])
    if bands == 1:
        image = image[..., 0]  # cv2 hands back what it takes
    changed = cv2.transform(image, matrix)
    return cast(Pixels, changed.reshape(*image.shape[:2], bands))


def draw_color_change(
    bands: int, strength: float, random: np.random.Generator
) -> tuple[NDArray[np.float64], float]:
    """Brightness, contrast, saturation and colour balance as one matrix: all four are affine.

    Args:
        bands: Three count as red, green and blue; in others gray, towards which saturation goes, is
            the mean of all bands.
        strength: Factors are drawn from 1 - strength .. 1 + strength; the balance between bands
            changes by a quarter of that.
        random: All randomness comes from here.

    Returns:
        (bands, bands), and the share of the image's mean that is added to every band.
    """
    brightness, contrast, saturation = random.uniform(1 - strength, 1 + strength, 3)
    balance = random.uniform(1 - strength / 4, 1 + strength / 4, bands)
    weights = LUMINANCE if bands == 3 else np.full(bands, 1 / bands)
    gray = np.full((bands, bands), 1.0) * np.array(weights)
    matrix = saturation * np.eye(bands) + (1 - saturation) * gray
    return np.diag(balance) @ matrix * (brightness * contrast), float(brightness * (1 - contrast))


def _in_groups(picture: Picture, change: Callable[[Picture], NDArray]) -> Picture:
    """Bands do not touch each other here, so that they may be changed a few at a time."""
    if picture.ndim == 2 or 1 < picture.shape[2] <= BANDS_AT_ONCE:
        return cast(Picture, change(picture))
    parts = []
    for first in range(0, picture.shape[2], BANDS_AT_ONCE):
        some = np.ascontiguousarray(picture[..., first : first + BANDS_AT_ONCE])
        part = change(cast(Picture, some))
        parts.append(part[..., None] if part.ndim == 2 else part)
    return cast(Picture, np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0])
