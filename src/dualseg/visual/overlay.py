"""Label maps and mistakes as colours."""

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.image_spec import Pixels, to_rgb
from dualseg.core.labels import IGNORE_INDEX, LabelSpec

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""

WHITE = (255, 255, 255)
HATCH = (186, 186, 190)
RIGHT = (164, 168, 174)
RIGHT_BORDER = (122, 127, 135)
WRONG = (214, 40, 40)
GAINED = (18, 104, 196)
HATCH_PERIOD = 8
"""Pixels from one line of the hatching to the next."""


def color_table(labels: LabelSpec) -> Picture:
    """(256, 3): the colour of every id; ids that are no class are white."""
    table = np.full((256, 3), 255, dtype=np.uint8)
    table[: labels.num_classes] = labels.palette
    return table


def paint(label_map: NDArray[np.uint8], labels: LabelSpec) -> Picture:
    """(H, W) ids -> picture in the palette's colours; ignored pixels are white, hatched."""
    picture = color_table(labels)[label_map]
    picture[_hatching(label_map == labels.ignore_index)] = HATCH
    return picture


def blend(
    image: Pixels, label_map: NDArray[np.uint8], labels: LabelSpec, *, opacity: float = 0.55
) -> Picture:
    """The image under its label map, with thin borders between the classes.

    Args:
        image: (H, W, C); of other than ordinary pictures what `to_rgb` shows.
        label_map: (H, W) class ids; ignored pixels show the image alone.
        labels: Palette.
        opacity: Of the colours, 0 to 1.

    Raises:
        InputError: Image and label map differ in size.
    """
    if image.shape[:2] != label_map.shape:
        raise InputError(
            f"the image is {image.shape[0]}x{image.shape[1]} and its label map "
            f"{label_map.shape[0]}x{label_map.shape[1]}; they must have one size"
        )
    colors = color_table(labels)[label_map].astype(np.float32)
    weight = np.where(label_map == labels.ignore_index, 0.0, opacity).astype(np.float32)[..., None]
    mixed = to_rgb(image) * (1 - weight) + colors * weight
    mixed[borders(label_map)] *= 0.45
    return (mixed + 0.5).astype(np.uint8)


def error_map(
    target: NDArray[np.uint8], preds: NDArray[np.uint8], *, ignore_index: int = IGNORE_INDEX
) -> Picture:
    """Right pixels grey (true borders darker), wrong ones red, ignored ones white and hatched."""
    ignored = target == ignore_index
    picture = np.empty((*target.shape, 3), dtype=np.uint8)
    picture[:] = RIGHT
    picture[borders(target)] = RIGHT_BORDER
    picture[(target != preds) & ~ignored] = WRONG
    picture[ignored] = WHITE
    picture[_hatching(ignored)] = HATCH
    return picture


def change_map(
    target: NDArray[np.uint8],
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    *,
    ignore_index: int = IGNORE_INDEX,
) -> Picture:
    """Blue where only `after` is right, red where only `before` is; the rest as in `error_map`."""
    picture = error_map(target, target, ignore_index=ignore_index)
    valid = target != ignore_index
    picture[valid & (after == target) & (before != target)] = GAINED
    picture[valid & (before == target) & (after != target)] = WRONG
    return picture


def borders(label_map: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W): True where the pixel to the right or below has another id."""
    edge = np.zeros(label_map.shape, dtype=bool)
    edge[:, :-1] |= label_map[:, :-1] != label_map[:, 1:]
    edge[:-1] |= label_map[:-1] != label_map[1:]
    return edge


def near_borders(label_map: NDArray[np.uint8], radius: int) -> NDArray[np.bool_]:
    """(H, W): True where a border lies at most `radius` rows and columns away."""
    size = 2 * radius + 1
    framed = np.pad(borders(label_map), radius).astype(np.int64)
    sums = np.pad(framed.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    return inside > 0


def _hatching(area: NDArray[np.bool_]) -> NDArray[np.bool_]:
    rows, columns = area.shape
    diagonal = np.arange(rows)[:, None] + np.arange(columns)
    return area & (diagonal % HATCH_PERIOD < 2)
