"""Two runs on the same images: how far apart they are, and how far by chance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dualseg.visual.run_files import StoredEvaluation

LEVEL = 0.95
RESAMPLES = 10_000
SEED = 0
DECIMALS = 3
"""A difference is shown with."""


@dataclass(frozen=True)
class PairedDifference:
    """One run's score minus another's.

    Args:
        value: On the images there are.
        low: Lower end of the interval over images drawn anew.
        high: Upper end.
        measure: Which score: "mIoU", or "mIoU per image".
        num_images: That both were scored on.
    """

    value: float
    low: float
    high: float
    measure: str
    num_images: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval, rounded as it is shown, leaves 0 out."""
        return round(self.low, DECIMALS) > 0 or round(self.high, DECIMALS) < 0

    def __str__(self) -> str:
        return f"{signed(self.value)} ({signed(self.low)} to {signed(self.high)})"


def paired_difference_over_images(
    run: StoredEvaluation, baseline: StoredEvaluation
) -> PairedDifference | None:
    """Percentile interval of the difference over images, drawn for both runs alike.

    Where both runs keep the mIoU of the same resamples, it is the difference of the mIoU itself.
    Otherwise only each image's own mIoU is known; then it is the difference of their mean, another
    number than the mIoU. Images are taken as independent; frames of one video are not.

    Returns:
        None where the runs were not scored on the same images with the same truth, or on fewer than
        two.
    """
    if not are_same_images(run, baseline) or len(run.per_image) < 2:
        return None
    drawn = _drawn_mious(run, baseline)
    if drawn is not None:
        value = run.scores["miou"] - baseline.scores["miou"]
        return _difference(value, drawn, "mIoU", len(run.per_image))
    pairs = [
        mine - other
        for (_, mine), (_, other) in zip(run.per_image, baseline.per_image, strict=True)
        if mine is not None and other is not None
    ]
    if len(pairs) < 2:
        return None
    gains = np.array(pairs)
    return _difference(float(gains.mean()), _resampled_means(gains), "mIoU per image", len(pairs))


def are_same_images(run: StoredEvaluation, baseline: StoredEvaluation) -> bool:
    """Whether two runs were scored on the same images of one split, with the same truth."""
    names = [name for name, _ in run.per_image]
    same = names == [name for name, _ in baseline.per_image] and run.split == baseline.split
    return same and bool(names) and run.pixels_per_class == baseline.pixels_per_class


def image_gains(run: StoredEvaluation, baseline: StoredEvaluation) -> dict[str, float]:
    """Image name -> its mIoU in `run` minus that in `baseline`, where both have one."""
    before = dict(baseline.per_image)
    return {
        name: miou - other
        for name, miou in run.per_image
        if miou is not None and (other := before.get(name)) is not None
    }


def signed(value: float) -> str:
    """A difference with three decimals and its sign."""
    rounded = round(value, DECIMALS)
    return f"{rounded:+.{DECIMALS}f}".replace("-", "−") if rounded else f"{0:.{DECIMALS}f}"


def _drawn_mious(run: StoredEvaluation, baseline: StoredEvaluation) -> NDArray[np.float64] | None:
    mine, other = run.resampled, baseline.resampled
    if mine is None or other is None or mine.settings != other.settings:
        return None
    if len(mine.mious) != len(other.mious):
        return None
    return np.array(mine.mious) - np.array(other.mious)


def _difference(
    value: float, drawn: NDArray[np.float64], measure: str, num_images: int
) -> PairedDifference:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return PairedDifference(value, float(low), float(high), measure, num_images)


def _resampled_means(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    generator = np.random.default_rng(SEED)
    means = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        means[number] = gains[generator.integers(0, len(gains), len(gains))].mean()
    return means
