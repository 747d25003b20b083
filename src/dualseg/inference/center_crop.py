"""The protocol of old tables: the image is resized and its middle is scored."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dualseg.core.geometry import Size
from dualseg.core.image_spec import Pixels


def crop_center_image(image: Pixels, size: Size) -> Pixels:
    """Resizes (H, W, C) until it just covers `size`, and cuts the middle out.

    Bilinear where the image grows, by areas where it shrinks, so that nothing aliases. For a
    square `size` the short side is resized to it, as `val` of several repositories does.
    """
    covering, method = _covering(image, size), _method(image, size)
    bands = [
        _middle(cv2.resize(np.ascontiguousarray(band), covering, interpolation=method), size)
        for band in np.moveaxis(image, -1, 0)  # cv2 takes no more than four at once
    ]
    return np.stack(bands, axis=-1).astype(image.dtype, copy=False)


def crop_center_label_map(label_map: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """The same for (H, W) class ids, nearest."""
    resized = cv2.resize(
        label_map, _covering(label_map, size), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return _middle(resized, size).astype(np.uint8, copy=False)


def _covering(picture: Pixels, size: Size) -> Size:
    """(width, height), as cv2 wants it."""
    height, width = picture.shape[:2]
    scale = max(size[0] / height, size[1] / width)
    return max(size[1], round(width * scale)), max(size[0], round(height * scale))


def _method(picture: Pixels, size: Size) -> int:
    shrinks = _covering(picture, size)[0] < picture.shape[1]
    return cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR


def _middle(picture: cv2.typing.MatLike, size: Size) -> cv2.typing.MatLike:
    top, left = (picture.shape[0] - size[0]) // 2, (picture.shape[1] - size[1]) // 2
    return np.ascontiguousarray(picture[top : top + size[0], left : left + size[1]])
