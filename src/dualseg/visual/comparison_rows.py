"""What a comparison says in numbers: means, spreads and paired differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from dualseg.visual.paired import signed


@dataclass(frozen=True)
class ComparisonRow:
    """One variant that was trained, once for each seed. The seeds stand in the same order in every
    row.

    Args:
        name: Shown in tables and charts.
        runs: Run folders.
        miou: mIoU of each run's last checkpoint, so that nothing is chosen by the score itself.
        iou_per_class: IoU of each class, for each seed.
        latency_ms: One image, full size in and out.
        seconds_per_epoch: Training time.
        parameters: In use at prediction.
    """

    name: str
    runs: tuple[Path, ...]
    miou: tuple[float, ...]
    iou_per_class: tuple[tuple[float | None, ...], ...]
    latency_ms: float | None
    seconds_per_epoch: float | None
    parameters: int | None

    @property
    def mean_miou(self) -> float:
        """Over the seeds."""
        return mean(self.miou)

    def mean_iou(self, class_id: int) -> float | None:
        """Of one class over the seeds that have one."""
        values = [ious[class_id] for ious in self.iou_per_class]
        known = [value for value in values if value is not None]
        return mean(known) if known else None


@dataclass(frozen=True)
class Difference:
    """Row minus baseline, seed by seed.

    Args:
        values: One a seed that both have.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return mean(self.values)

    def __str__(self) -> str:
        return signed(self.mean) + spread_text(self.values)


def paired_difference(row: ComparisonRow, baseline: ComparisonRow) -> Difference:
    """Compares the seeds both rows have: the first ones, where one row has more."""
    return Difference(tuple(a - b for a, b in zip(row.miou, baseline.miou, strict=False)))


def spread_text(values: Sequence[float]) -> str:
    """` ± standard deviation` of a sample; nothing for a single value."""
    return f" ± {stdev(values):.3f}" if len(values) > 1 else ""


def verdict(rows: Sequence[ComparisonRow], num_baselines: int) -> str:
    """The result in two or three sentences, no stronger than the seeds allow."""
    best = max(rows, key=lambda row: row.mean_miou)
    text = f"{best.name} has the highest mean mIoU, {best.mean_miou:.3f}."
    gains = []
    for baseline in rows[:num_baselines]:
        if baseline is not best:
            difference = paired_difference(best, baseline)
            up = sum(value > 0 for value in difference.values)
            count = len(difference.values)
            seeds = f" (higher with {up} of {count} seeds)" if count > 1 else ""
            gains.append(f"{difference} against {baseline.name}{seeds}")
    if gains:
        text += f" Paired difference: {'; '.join(gains)}."
    if max(len(row.miou) for row in rows) == 1:
        text += " One seed each: how much of a difference is chance is unknown."
    return text
