"""How far a difference may be chance: over seeds, and over images."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
BLOCK = 10  # frames of the video that are drawn together

# Quantile 0.975 of Student's t with 1, 2, ... degrees of freedom; the last serves beyond.
# fmt: off
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
)
# fmt: on

Counts = NDArray[np.int64]
"""(images, 3, K): right, truth, predicted pixels; or (images, 2, K): of rims, both and either."""


@dataclass(frozen=True)
class Interval:
    """A number and its 95 % interval.

    Args:
        value: The number.
        low: Lower end; None where it cannot be said.
        high: Upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the interval is there and leaves 0 out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def over_seeds(values: Sequence[float]) -> Interval:
    """Mean and Student's interval: how another training would come out, on these images.

    Args:
        values: One a seed, differences of pairs; a single one has no interval.
    """
    if len(values) < 2:
        return Interval(mean(values))
    half = _students(len(values) - 1) * stdev(values) / sqrt(len(values))
    return Interval(mean(values), mean(values) - half, mean(values) + half)


def over_groups(groups: Sequence[Sequence[float]]) -> Interval:
    """Mean of the groups' means, each group counted alike, whatever its spread.

    How other trainings of these groups would come out on the mean; not other groups. Each keeps
    its own variance; the degrees of freedom are rounded down, and so the interval up.

    Args:
        groups: Of each, at least two values; one group gives what `over_seeds` does.

    Source: Welch 1947 and Satterthwaite 1946 for the degrees of freedom of a sum of variances.
    """
    value = mean(mean(group) for group in groups)
    parts = [stdev(group) ** 2 / len(group) for group in groups]
    if not any(parts):
        return Interval(value, value, value)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(group) - 1) for part, group in zip(parts, groups, strict=True)
    )
    half = _students(int(freedom + 1e-9)) * sqrt(sum(parts)) / len(groups)
    return Interval(value, value - half, value + half)


def over_images(
    runs: Sequence[Counts],
    baselines: Sequence[Counts],
    *,
    block: int = BLOCK,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Mean paired difference, and a percentile interval over images drawn anew.

    The same images are drawn for all runs. Neighbouring frames of a video look alike, so blocks of
    them are drawn, wherever they begin; after the last image comes the first.

    Args:
        runs: Of each seed.
        baselines: Of the same seeds.
        block: Images drawn together; 1 for the ordinary bootstrap.
        resamples: Sets of images.
        seed: Of the draws.

    Source: Politis and Romano 1992 (circular block bootstrap).
    """
    times = draw_blocks(len(runs[0]), block=block, resamples=resamples, seed=seed)
    value = mean(
        _miou(run.sum(axis=0)[None])[0] - _miou(baseline.sum(axis=0)[None])[0]
        for run, baseline in zip(runs, baselines, strict=True)
    )
    drawn = np.mean(
        [
            _miou(_weighted(times, run)) - _miou(_weighted(times, baseline))
            for run, baseline in zip(runs, baselines, strict=True)
        ],
        axis=0,
    )
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))


def draw_blocks(count: int, *, block: int, resamples: int, seed: int) -> Counts:
    """(resamples, count): how often each image is drawn; `count` draws in all, or a few more where
    `count` is no multiple of the block."""
    block = min(block, count)
    random = np.random.default_rng(seed)
    starts = random.integers(0, count, (resamples, -(-count // block)))
    drawn = (starts[:, :, None] + np.arange(block)) % count
    times = np.zeros((resamples, count), np.int64)
    rows = np.broadcast_to(np.arange(resamples)[:, None, None], drawn.shape)
    np.add.at(times, (rows.ravel(), drawn.ravel()), 1)
    return times


def iou(sums: Counts) -> NDArray[np.float64]:
    """(..., 3, K) or (..., 2, K) -> (..., K); NaN for a class that is nowhere."""
    above = sums[..., 0, :]
    if sums.shape[-2] == 3:
        below = sums[..., 1, :] + sums[..., 2, :] - above
    else:
        below = sums[..., 1, :]
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _students(degrees: int) -> float:
    return T_975[min(degrees, len(T_975)) - 1]


def _miou(sums: Counts) -> NDArray[np.float64]:
    return np.nanmean(iou(sums), axis=-1)


def _weighted(times: Counts, counts: Counts) -> Counts:
    flat = counts.reshape(len(counts), -1).astype(np.float64)
    summed = times.astype(np.float64) @ flat  # exact: far below 2^53
    return summed.astype(np.int64).reshape(len(times), *counts.shape[1:])
