"""Where a network is right: accuracy by the distance from a boundary between classes.

What a finer answer can mend lies at boundaries; what is taken for something else altogether is
wrong far from them too.
"""

from collections.abc import Mapping
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn

from camvid_study.at_hand import Numbers, mean_of, measured_of
from camvid_study.summary import Place, Result
from dualseg.data.dataset import SegmentationDataset
from dualseg.inference.predictor import Predictor
from dualseg.visual.comparison_tables import Cells

BANDS_FILE = "bands.json"
EDGES = (0.0, 2.0, 4.0, 8.0, 16.0, float("inf"))  # pixels of the answer; a boundary's own are at 0


def measure_bands(model: nn.Module, dataset: SegmentationDataset) -> Numbers:
    """Pixel accuracy in each band of distances, void left out.

    Args:
        model: Pruned, with its facts.
        dataset: Whose whole images are predicted, at the size they have.

    Returns:
        `right <band>` and `share <band>`, its share of the known pixels.
    """
    predictor = Predictor(model)
    names = band_names()
    right, known = np.zeros((2, len(names)), np.int64)
    for index in range(len(dataset)):
        target = dataset.label_map(index)
        band = np.digitize(boundary_distance(target), EDGES[1:-1])
        counts = target != dataset.labels.ignore_index
        is_right = predictor.predict_pixels(dataset.image(index)) == target
        known += np.bincount(band[counts], minlength=len(names))
        right += np.bincount(band[counts & is_right], minlength=len(names))
    found: dict[str, float] = {}
    for name, count, hits in zip(names, known.tolist(), right.tolist(), strict=True):
        found[f"share {name}"] = count / int(known.sum())
        found[f"right {name}"] = hits / max(1, count)
    return found


def boundary_distance(target: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of each pixel to the nearest one beside another class; void has boundaries too.

    Args:
        target: (H, W) class ids.

    Returns:
        (H, W) in pixels, 0 on both sides of a boundary.
    """
    is_boundary = np.zeros(target.shape, np.bool_)
    across, down = target[:, 1:] != target[:, :-1], target[1:] != target[:-1]
    for side in (np.s_[:, 1:], np.s_[:, :-1]):
        is_boundary[side] |= across
    for side in (np.s_[1:], np.s_[:-1]):
        is_boundary[side] |= down
    inside = (~is_boundary).astype(np.uint8)
    if inside.all():  # one class everywhere
        return np.full(target.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def band_names() -> list[str]:
    """`0 to 2 px` ... `from 16 px`."""
    *inner, (last, _) = pairwise(EDGES)
    return [*(f"{low:g} to {high:g} px" for low, high in inner), f"from {last:g} px"]


def band_cells(results: Mapping[Place, Mapping[str, Result]]) -> Cells:
    """Head, one line a row, and below each place how many pixels there are; means over the seeds.

    The head alone where nothing was measured.
    """
    lines = [["pixel accuracy", "host", "input", "seeds", *band_names()]]
    for (_, size, host), of_place in results.items():
        measured = {name: measured_of(each, BANDS_FILE) for name, each in of_place.items()}
        for name, known in measured.items():
            if known:
                values = [f"{mean_of(known, f'right {band}'):.3f}" for band in band_names()]
                lines.append([name, host, size, str(len(known)), *values])
        of_all = [numbers for known in measured.values() for numbers in known]
        if of_all:
            shares = [f"{100 * mean_of(of_all, f'share {band}'):.1f} %" for band in band_names()]
            lines.append(["share of all pixels", host, size, "", *shares])
    return lines
