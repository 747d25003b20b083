"""A training crop: scale, window, flip and colour, for image and label together.

The window is chosen in the source image first and resized once, so that no pixel is computed
that the crop does not show.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dualseg.core.geometry import Size
from dualseg.core.image_spec import Pixels
from dualseg.core.labels import IGNORE_INDEX
from dualseg.data.pictures.pixel_operations import (
    change_colors,
    mean_color,
    mirror,
    resize,
    surround,
)

FOCUS_STEP = 8

LabelMap = NDArray[np.uint8]


class Window(NamedTuple):
    """A part of the source image, and where it goes in the crop.

    Attributes:
        top, left, height, width: In source pixels.
        size: (height, width) it is resized to; smaller than the crop where the image is.
        offset: (top, left) of the resized window in the crop.
    """

    top: int
    left: int
    height: int
    width: int
    size: Size
    offset: Size


def random_crop(
    image: Pixels,
    label_map: LabelMap,
    *,
    crop_size: Size,
    scale_range: tuple[float, float],
    flip: bool,
    photometric: float,
    random: np.random.Generator,
    class_balance: float = 0.0,
) -> tuple[Pixels, LabelMap]:
    """One augmented crop.

    Args:
        image: (H, W, C), uint8 or float32 in 0..255.
        label_map: (H, W) ids.
        crop_size: (height, width) of the result.
        scale_range: The image is enlarged by a factor drawn log-uniformly from here, so that
            halving is as likely as doubling.
        flip: Mirror half of the crops.
        photometric: Strength of the colour change, 0 for none; see `change_colors`.
        random: All randomness comes from here.
        class_balance: Share of the crops that hold a pixel of a class drawn evenly from those in
            the image, so that small classes are seen more often.

    Returns:
        (*crop_size, C) and (*crop_size). Where the scaled image is smaller than the crop it lies at
        a random place, the rest has the image's mean colour and is ignored.
    """
    focus = None
    if class_balance > 0 and random.random() < class_balance:
        focus = draw_pixel_of_a_class(label_map, random)
    window = draw_window(image.shape[:2], crop_size, scale_range, random, focus)
    image, label_map = cut(image, label_map, window, crop_size)
    if flip and random.random() < 0.5:
        image, label_map = mirror(image), mirror(label_map)
    if photometric > 0:
        image = change_colors(image, photometric, random)
    return np.ascontiguousarray(image), np.ascontiguousarray(label_map)


def draw_window(
    source: tuple[int, ...],
    crop: Size,
    scale_range: tuple[float, float],
    random: np.random.Generator,
    focus: Size | None = None,
) -> Window:
    """A random scale, and a random window that fills the crop at that scale as far as it can.

    With a `focus`, a source pixel (row, column), the window is drawn from those that hold it.
    """
    low, high = scale_range
    scale = low if low == high else float(np.exp(random.uniform(np.log(low), np.log(high))))
    sides = []
    for have, want, wanted in zip(source, crop, focus or (None, None), strict=True):
        taken = min(have, max(1, round(want / scale)))
        filled = min(want, max(1, round(taken * scale)))
        if taken < have:
            filled = want  # the source goes on beyond the window: no padding from rounding
        first, last = 0, have - taken
        if wanted is not None:
            first, last = max(first, wanted - taken + 1), min(last, wanted)
        start = int(random.integers(first, last + 1))
        offset = int(random.integers(0, want - filled + 1))
        sides.append((start, taken, filled, offset))
    (top, height, fill_h, at_y), (left, width, fill_w, at_x) = sides
    return Window(top, left, height, width, (fill_h, fill_w), (at_y, at_x))


def draw_pixel_of_a_class(label_map: LabelMap, random: np.random.Generator) -> Size | None:
    """(row, column) of a pixel of a class, all classes of the image being equally likely.

    Looks at every eighth row and column, from a random one on: fast, and a class that is missed
    is found next time. None where only ignored pixels are met.
    """
    row, column = (int(start) for start in random.integers(0, FOCUS_STEP, 2))
    seen = label_map[row::FOCUS_STEP, column::FOCUS_STEP]
    classes = np.unique(seen)
    classes = classes[classes != IGNORE_INDEX]
    if not len(classes):
        return None
    rows, columns = np.nonzero(seen == random.choice(classes))
    number = int(random.integers(0, len(rows)))
    return row + FOCUS_STEP * int(rows[number]), column + FOCUS_STEP * int(columns[number])


def cut(image: Pixels, label_map: LabelMap, window: Window, crop: Size) -> tuple[Pixels, LabelMap]:
    """The window, resized and put into a crop; the label is sampled at pixel centres."""
    rows = slice(window.top, window.top + window.height)
    columns = slice(window.left, window.left + window.width)
    part, ids = image[rows, columns], label_map[rows, columns]
    height, width = window.size
    if ids.shape != window.size:
        # Up to a factor of two bilinear sampling meets every source pixel, at an eighth of the
        # cost.
        far = ids.shape[0] > 2 * height or ids.shape[1] > 2 * width
        method = cv2.INTER_AREA if far else cv2.INTER_LINEAR
        part = resize(part, window.size, method)
        ids = resize(ids, window.size, cv2.INTER_NEAREST_EXACT)
    if window.size == crop:
        return part, ids
    part = surround(part, crop, window.offset, mean_color(image).tolist())
    return part, surround(ids, crop, window.offset, [IGNORE_INDEX])
