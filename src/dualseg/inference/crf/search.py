"""Looks for the CRF's numbers on a validation set."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.inference.crf.lattice import BilateralFilter
from dualseg.inference.crf.mean_field import sharpen
from dualseg.inference.crf.settings import CrfSettings

LabelMap: TypeAlias = NDArray[np.uint8]
Sample: TypeAlias = tuple[NDArray[np.float32], NDArray[np.uint8], LabelMap]
"""Probabilities (K, H, W), image (H, W, 3), target (H, W)."""

COARSE_WEIGHTS = (3.0, 4.0, 5.0, 6.0)
COARSE_XY_STDS = (30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0)
COARSE_RGB_STDS = (3.0, 4.0, 5.0, 6.0)


@dataclass(frozen=True)
class CrfScore:
    """How one choice went.

    Args:
        settings: None stands for no CRF at all.
        score: As `score` of `search_crf` gave it; None where there is none.
    """

    settings: CrfSettings | None
    score: float | None


def crf_grid(
    base: CrfSettings,
    *,
    bi_w: Sequence[float] = COARSE_WEIGHTS,
    bi_xy_std: Sequence[float] = COARSE_XY_STDS,
    bi_rgb_std: Sequence[float] = COARSE_RGB_STDS,
) -> list[CrfSettings]:
    """Every combination; the rest is as in `base`. The defaults are DeepLab's first round.

    Source: Chen et al. 2016, arXiv:1606.00915, section 4.1: bi_w 3 to 6, bi_xy_std 30 to 100 in
    steps of 10, bi_rgb_std 3 to 6, with pos_w 3, pos_xy_std 3 and 10 iterations, on 100 images of
    the validation set; a second round looks around the best.
    """
    return [
        replace(base, bi_xy_std=xy, bi_rgb_std=rgb, bi_w=weight)
        for xy, rgb, weight in itertools.product(bi_xy_std, bi_rgb_std, bi_w)
    ]


def search_crf(
    samples: Iterable[Sample],
    grid: Sequence[CrfSettings],
    *,
    count: Callable[[LabelMap, LabelMap], NDArray[np.int64]],
    score: Callable[[NDArray[np.int64]], float | None],
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[CrfScore]:
    """Scores every choice, and no CRF at all, over the same images.

    One image is held at a time. Choices that differ in weights alone share a lattice.

    Args:
        samples: Read once.
        grid: Choices to try.
        count: (target, preds) of one image -> counts that add up over images, such as a confusion
            matrix.
        score: Of the summed counts.
        threads: As of `dense_crf`.
        progress: Called with the number of images done.

    Returns:
        One for each choice and one for none, the best first; of equals, the first given.

    Raises:
        InputError: No choice or no image.
    """
    if not grid:
        raise InputError("the grid of the CRF search is empty; give at least one choice")
    choices: list[CrfSettings | None] = [None, *grid]
    totals: list[NDArray[np.int64] | None] = [None] * len(choices)
    done = 0
    for probabilities, image, target in samples:
        preds = _label_maps(probabilities, image, grid, threads or torch.get_num_threads())
        label_maps = [_highest(probabilities), *preds]
        for number, label_map in enumerate(label_maps):
            counts, before = count(target, label_map), totals[number]
            totals[number] = counts if before is None else before + counts
        done += 1
        if progress is not None:
            progress(done)
    if not done:
        raise InputError("there is no image to search the CRF's numbers on")
    scores = [
        CrfScore(choice, score(total))
        for choice, total in zip(choices, totals, strict=True)
        if total is not None
    ]
    return sorted(scores, key=lambda one: -1.0 if one.score is None else one.score, reverse=True)


def _label_maps(
    probabilities: NDArray[np.float32],
    image: NDArray[np.uint8],
    grid: Sequence[CrfSettings],
    threads: int,
) -> list[LabelMap]:
    """In the order of the grid, though lattice by lattice."""
    found: dict[int, LabelMap] = {}
    by_widths: dict[tuple[float, float], list[int]] = {}
    for number, settings in enumerate(grid):
        by_widths.setdefault((settings.bi_xy_std, settings.bi_rgb_std), []).append(number)
    for (xy_std, rgb_std), numbers in by_widths.items():
        bilateral = BilateralFilter(image, xy_std=xy_std, rgb_std=rgb_std, threads=threads)
        for number in numbers:
            found[number] = _highest(sharpen(probabilities, grid[number], bilateral))
    return [found[number] for number in range(len(grid))]


def _highest(probabilities: NDArray[np.float32]) -> LabelMap:
    return probabilities.argmax(axis=0).astype(np.uint8)
