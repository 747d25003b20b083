"""Where one run is better than another, and where it is worse: images, and details close up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dualseg.core.labels import LabelSpec
from dualseg.visual.budget import PictureBudget
from dualseg.visual.comparison_gallery import Window, busiest_window
from dualseg.visual.overlay import change_map, near_borders, paint
from dualseg.visual.page import class_legend, note, section, shot, tile
from dualseg.visual.paired import signed
from dualseg.visual.pictures import flat_picture, photo
from dualseg.visual.run_files import GalleryImage

DETAIL_SHARE = 0.2
"""Height and width of a detail, as a share of the image's."""

BORDER_SHARE = 0.01
"""So near to a border a pixel belongs to a detail, as a share of the image's diagonal."""


@dataclass(frozen=True)
class ImagePair:
    """One image through two networks.

    Args:
        before: Of the first run.
        after: Of the other.
        gain: The other's mIoU of the image minus the first's.
    """

    before: GalleryImage
    after: GalleryImage
    gain: float

    def change(self, ignore_index: int) -> NDArray[np.int8]:
        """(H, W): 1 where only `after` is right, -1 where only `before` is, 0 elsewhere."""
        truth = self.after.read("truth")
        before, after = (image.read("prediction") == truth for image in (self.before, self.after))
        change = after.astype(np.int8) - before.astype(np.int8)
        change[truth == ignore_index] = 0
        return change

    def detail_change(self, ignore_index: int) -> NDArray[np.int8]:
        """As `change`, near the borders in the ground truth alone: details, not whole regions."""
        truth = self.after.read("truth")
        radius = max(1, round(BORDER_SHARE * float(np.hypot(*truth.shape))))
        return self.change(ignore_index) * near_borders(truth, radius)

    @property
    def is_whole(self) -> bool:
        """Whether the image is at hand at its native size."""
        return "image" in self.after.files

    def image(self) -> NDArray[np.uint8]:
        """At its native size where it is at hand, else as the other run's network saw it."""
        return self.after.read("image" if self.is_whole else "input")


@dataclass(frozen=True)
class Pairing:
    """The two runs that are compared image by image.

    Args:
        before: Name of the first.
        after: Name of the other.
        labels: Their classes.
    """

    before: str
    after: str
    labels: LabelSpec


def extreme_images(gains: Mapping[str, float], count: int) -> tuple[list[str], list[str]]:
    """Names with the largest gains, and with the largest losses, largest first."""
    order = sorted(gains, key=lambda name: (-gains[name], name))
    gained = [name for name in order if gains[name] > 0][:count]
    lost = [name for name in reversed(order) if gains[name] < 0][:count]
    return gained, lost


def gain_parts(
    pairing: Pairing,
    pairs: Mapping[str, ImagePair],
    gained: Sequence[str],
    lost: Sequence[str],
    budget: PictureBudget,
) -> list[str]:
    """The images gained most and lost most, as far as there are pictures of them.

    Args:
        pairing: The runs.
        pairs: By name, images that there are pictures of.
        gained: Names, largest gain first.
        lost: Names, largest loss first.
        budget: Of the page.
    """
    key = (
        f"Change: blue where only {pairing.after} is right, red where only {pairing.before} is. "
        "The score is the image's mIoU over the classes in its ground truth."
    )
    parts = []
    for title, names, words in (
        ("Largest gains", gained, "gains most over"),
        ("Largest losses", lost, "loses most against"),
    ):
        lead = f"Images on which {pairing.after} {words} {pairing.before}, out of all. {key}"
        missing = [name for name in names if name not in pairs]
        shots = budget.fill(
            (name, partial(_gain_shot, f"{title} {number}", pairs[name], pairing))
            for number, name in enumerate(names)
            if name in pairs
        )
        said = note(f"No pictures are kept of: {', '.join(missing)}.") if missing else ""
        if shots or said:
            legend = class_legend(pairing.labels) if shots else ""
            parts.append(section(title, lead, said, legend, *shots))
    return parts


def detail_parts(
    pairing: Pairing, pairs: Mapping[str, ImagePair], count: int, budget: PictureBudget
) -> list[str]:
    """Close views of where the runs differ most: in the one's favour, then in the other's.

    Args:
        pairing: The runs.
        pairs: Images that there are pictures of; where some are at hand at their native size, the
            details are taken from those.
        count: Details of each kind.
        budget: Of the page.
    """
    whole = {name: pair for name, pair in pairs.items() if pair.is_whole} or pairs
    changes = {
        name: pair.detail_change(pairing.labels.ignore_index) for name, pair in whole.items()
    }
    parts = []
    for title, sign, winner, loser in (
        ("Details gained", 1, pairing.after, pairing.before),
        ("Details lost", -1, pairing.before, pairing.after),
    ):
        windows = {
            name: busiest_window(change * np.int8(sign), share=DETAIL_SHARE)
            for name, change in changes.items()
        }
        sums = {name: sign * int(windows[name].cut(changes[name]).sum()) for name in windows}
        order = sorted(
            (name for name in sums if sums[name] > 0), key=lambda name: (-sums[name], name)
        )
        lead = (
            f"The part of an image in which {winner} is right most often where {loser} is wrong, "
            "less the reverse, counted near the borders in the ground truth. The parts are chosen "
            "for that: they illustrate, and prove nothing."
        )
        shots = budget.fill(
            (
                name,
                partial(
                    _detail_shot,
                    f"{title} {number}",
                    pairs[name],
                    windows[name],
                    changes[name],
                    pairing,
                ),
            )
            for number, name in enumerate(order[:count])
        )
        if shots:
            parts.append(section(title, lead, class_legend(pairing.labels), *shots))
    return parts


def _gain_shot(key: str, pair: ImagePair, pairing: Pairing) -> str:
    truth = pair.after.read("truth")
    before, after = pair.before.read("prediction"), pair.after.read("prediction")
    changed = change_map(truth, before, after, ignore_index=pairing.labels.ignore_index)
    tiles = [
        tile(photo(pair.image(), "Image"), "Image", _kind(pair)),
        tile(flat_picture(paint(truth, pairing.labels), "Truth"), "Truth"),
        *(
            tile(flat_picture(paint(preds, pairing.labels), name), name, _score(image))
            for name, preds, image in (
                (pairing.before, before, pair.before),
                (pairing.after, after, pair.after),
            )
        ),
        tile(flat_picture(changed, "Change"), "Change"),
    ]
    return shot(key, pair.after.name, f"mIoU {signed(pair.gain)}", tiles)


def _detail_shot(
    key: str, pair: ImagePair, window: Window, change: NDArray[np.int8], pairing: Pairing
) -> str:
    image, inside = pair.image(), window.cut(change)
    frame = f'<div class="frame">{photo(image, "Image, the detail framed")}{window.frame()}</div>'
    maps = (
        ("Truth", pair.after.read("truth")),
        (pairing.before, pair.before.read("prediction")),
        (pairing.after, pair.after.read("prediction")),
    )
    tiles = [
        tile(frame, "Where"),
        tile(photo(window.cut(image), "Detail of the image"), "Image", _kind(pair)),
        *(
            tile(flat_picture(paint(window.cut(ids), pairing.labels), f"{name}, detail"), name)
            for name, ids in maps
        ),
    ]
    words = (
        f"near borders {np.sum(inside == 1):,} pixels are right with {pairing.after} alone, "
        f"{np.sum(inside == -1):,} with {pairing.before} alone"
    )
    return shot(key, pair.after.name, words, tiles)


def _kind(pair: ImagePair) -> str:
    return "" if pair.is_whole else "as the network sees it"


def _score(image: GalleryImage) -> str:
    return "" if image.miou is None else f"{image.miou:.3f}"
