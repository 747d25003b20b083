"""Where a label map's classes meet, and how far its pixels are from there."""

import cv2
import numpy as np
from numpy.typing import NDArray


def contour(
    label_map: NDArray[np.uint8], ignored: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Pixels that have a neighbour of another id, above, below, left or right.

    Args:
        label_map: (H, W) ids.
        ignored: (H, W); where given, such pixels have no neighbours and are none.

    Returns:
        (H, W), true on both sides of each boundary; what is outside the map makes none.
    """
    line = np.zeros(label_map.shape, np.bool_)
    for first, second in (
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
    ):
        differ = label_map[first] != label_map[second]
        if ignored is not None:
            differ &= ~ignored[first] & ~ignored[second]
        line[first] |= differ
        line[second] |= differ
    return line


def distance_from(line: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Of every pixel to the nearest one that is true, in pixels (Euclidean); infinite where there
    is none."""
    if not line.any():
        return np.full(line.shape, np.inf, np.float32)
    others = (~line).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(others, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
