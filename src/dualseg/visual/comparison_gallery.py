"""The same images through several networks, with a close look where these differ most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dualseg.core.labels import LabelSpec
from dualseg.visual.numbers import percent_text
from dualseg.visual.overlay import Picture, paint
from dualseg.visual.page import shot, tile
from dualseg.visual.pictures import flat_picture, photo
from dualseg.visual.run_files import GalleryImage, StoredEvaluation

CROP_SHARE = 0.3
"""Height and width of the close look, as a share of the image's."""

MIN_CROP = 24


Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True)
class Window:
    """A rectangle as shares of height and width, so that it fits pictures of every size."""

    top: float
    left: float
    height: float
    width: float

    def cut(self, picture: NDArray[Pixel]) -> NDArray[Pixel]:
        """The part of an (H, W, ...) picture inside the rectangle."""
        rows, columns = picture.shape[:2]
        top, left = round(self.top * rows), round(self.left * columns)
        height, width = max(1, round(self.height * rows)), max(1, round(self.width * columns))
        return picture[top : top + height, left : left + width]

    def frame(self) -> str:
        """The rectangle as HTML, to lie over a picture."""
        place = f"top:{self.top:.2%};left:{self.left:.2%}"
        return f'<i style="{place};height:{self.height:.2%};width:{self.width:.2%}"></i>'


def comparison_shots(
    names: Sequence[str], evaluations: Sequence[StoredEvaluation], *, count: int
) -> list[str]:
    """HTML cards of the images on which the predictions differ most.

    Only images that every run keeps whatever their score are taken, so that no run picks its
    favourites.

    Args:
        names: Of the runs.
        evaluations: One of each run, on the same data.
        count: At most so many images.
    """
    by_name = [
        {image.name: image for image in evaluation.gallery if "sample" in image.roles}
        for evaluation in evaluations
    ]
    common = [name for name in by_name[0] if all(name in images for images in by_name)]
    entries = [[images[name] for images in by_name] for name in common]
    labels = evaluations[0].labels
    differing = {
        number: disagreement(entry, labels.ignore_index) for number, entry in enumerate(entries)
    }
    order = sorted(differing, key=lambda number: (-float(differing[number].mean()), number))
    return [
        _shot(position, names, entries[number], differing[number], labels)
        for position, number in enumerate(order[:count])
    ]


def disagreement(entry: Sequence[GalleryImage], ignore_index: int) -> NDArray[np.bool_]:
    """(H, W): True where not all runs predict the same and the truth is known."""
    first, *others = [image.read("prediction") for image in entry]
    differs = np.zeros(first.shape, dtype=bool)
    for preds in others:
        differs |= preds != first
    return differs & (entry[0].read("truth") != ignore_index)


def busiest_window(
    area: NDArray[np.bool_] | NDArray[np.int8], *, share: float = CROP_SHARE
) -> Window:
    """The window with most True pixels in it, or the greatest sum; the first from the top left.

    Args:
        area: (H, W).
        share: The window's height and width of the area's.
    """
    rows, columns = area.shape
    height = min(rows, max(MIN_CROP, round(share * rows)))
    width = min(columns, max(MIN_CROP, round(share * columns)))
    sums = np.pad(area.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = (
        sums[height:, width:]
        - sums[:-height, width:]
        - sums[height:, :-width]
        + sums[:-height, :-width]
    )
    top, left = divmod(int(inside.argmax()), inside.shape[1])
    return Window(top / rows, left / columns, height / rows, width / columns)


def _shot(
    number: int,
    names: Sequence[str],
    entry: Sequence[GalleryImage],
    differs: NDArray[np.bool_],
    labels: LabelSpec,
) -> str:
    window = busiest_window(differs)
    seen, truth = entry[0].read("input"), paint(entry[0].read("truth"), labels)
    tiles = [
        _tile(photo(seen, "Input"), photo(window.cut(seen), "Input, close"), window, "Input"),
        _flat_tile(truth, window, "Truth", ""),
    ]
    for name, image in zip(names, entry, strict=True):
        score = "" if image.miou is None else f"{image.miou:.3f}"
        tiles.append(_flat_tile(paint(image.read("prediction"), labels), window, name, score))
    return shot(
        number,
        entry[0].name,
        f"predictions differ on {percent_text(float(differs.mean()))} of the pixels",
        tiles,
    )


def _flat_tile(picture: Picture, window: Window, name: str, detail: str) -> str:
    close = flat_picture(window.cut(picture), f"{name}, close")
    return _tile(flat_picture(picture, name), close, window, name, detail)


def _tile(whole: str, close: str, window: Window, name: str, detail: str = "") -> str:
    return tile(f'<div class="frame">{whole}{window.frame()}</div>{close}', name, detail)
