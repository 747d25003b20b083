"""The search finds what it is made to find."""

import numpy as np
import pytest
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.inference.crf.search import Sample, crf_grid, search_crf
from dualseg.inference.crf.settings import CrfSettings


def right_and_all(target: NDArray[np.uint8], preds: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.array([(target == preds).sum(), target.size], np.int64)


def accuracy(counts: NDArray[np.int64]) -> float:
    return counts[0] / counts[1]


def halves(shift: int) -> Sample:
    """The truth follows the image's edge, the probabilities are `shift` columns off."""
    image = np.full((16, 32, 3), 50, np.uint8)
    image[:, 12:] = 150
    target = (np.arange(32) >= 12).astype(np.uint8)[None].repeat(16, 0)
    right = (np.arange(32) >= 12 + shift).astype(np.float32)[None].repeat(16, 0) * 0.4 + 0.3
    return np.stack([1 - right, right]), image, target


def test_the_best_comes_first_and_no_crf_is_among_them() -> None:
    blind = CrfSettings(bi_w=0, iterations=2)
    seeing = CrfSettings(bi_xy_std=20, iterations=5)
    found = search_crf([halves(2), halves(3)], [blind, seeing], count=right_and_all, score=accuracy)
    assert [one.settings for one in found] == [seeing, None, blind]
    assert found[0].score == 1
    assert found[1].score == pytest.approx(1 - 5 / 64)  # 2 and 3 of 32 columns wrong


def test_grid_of_deeplab() -> None:
    grid = crf_grid(CrfSettings(pos_xy_std=3))
    assert len(grid) == len(set(grid)) == 4 * 8 * 4
    assert grid[0] == CrfSettings(bi_w=3, bi_xy_std=30, bi_rgb_std=3, pos_xy_std=3)
    assert grid[-1] == CrfSettings(bi_w=6, bi_xy_std=100, bi_rgb_std=6, pos_xy_std=3)


def test_nothing_to_search() -> None:
    with pytest.raises(InputError, match=r"grid .* is empty"):
        search_crf([halves(1)], [], count=right_and_all, score=accuracy)
    with pytest.raises(InputError, match="no image"):
        search_crf([], [CrfSettings()], count=right_and_all, score=accuracy)
