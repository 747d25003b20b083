"""From the finished runs to numbers: means, spreads, paired differences, shares, costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from camvid_study.hosts import HOSTS
from camvid_study.intervals import Counts, Interval, iou, over_images, over_seeds
from camvid_study.ledger import Entry, read_ledger
from camvid_study.plan import PARTS, rows_of
from camvid_study.rows import ALL, FULL_LABEL, LOW_LABEL, SIZES, SSSR, Row
from camvid_study.scoring import read_scores
from dualseg.core.errors import InputError

FEWEST_SEEDS = 3  # below which no share is given
THIN = ("pole", "sign", "fence", "pedestrian", "bicyclist")

Place = tuple[int, str, str]
"""Epochs, size, host: runs of one place had one budget."""


@dataclass(frozen=True)
class Result:
    """The finished runs of one row.

    Args:
        row: What was trained.
        epochs: Asked for.
        runs: Seed -> run folder.
        scores: Seed -> what `scores.json` holds.
        hours: Mean over the runs whose time is known.
    """

    row: Row
    epochs: int
    runs: Mapping[int, Path]
    scores: Mapping[int, Mapping[str, Any]]
    hours: float | None

    @property
    def seeds(self) -> list[int]:
        """Ascending."""
        return sorted(self.scores)

    @property
    def class_names(self) -> list[str]:
        """In the order of the classes."""
        return list(next(iter(self.scores.values()))["iou_per_class"])

    def counts(self, seed: int, *, rims: bool = False) -> Counts:
        """Of each image, regions or their rims."""
        keys = ("rim_both", "rim_either") if rims else ("right", "truth", "predicted")
        images = self.scores[seed]["images"]
        return np.array([[image[key] for key in keys] for image in images], np.int64)

    def values(self, measure: str) -> dict[int, float]:
        """Seed -> score: "miou", "boundary", "thin", or the name of a class.

        A class that is neither there nor predicted has no value, and its seed is left out.
        """
        found = {seed: self._value(seed, measure) for seed in self.seeds}
        return {seed: value for seed, value in found.items() if value is not None}

    def mean(self, measure: str) -> float | None:
        """Over the seeds."""
        known = list(self.values(measure).values())
        return mean(known) if known else None

    def spread(self, measure: str) -> float | None:
        """Sample standard deviation over the seeds."""
        known = list(self.values(measure).values())
        return stdev(known) if len(known) > 1 else None

    def _value(self, seed: int, measure: str) -> float | None:
        scores = self.scores[seed]
        if measure == "miou":
            return scores["miou"]
        if measure == "boundary":
            return scores["boundary_iou"]["mean"]
        if measure == "thin":
            thin = [scores["iou_per_class"].get(name) for name in THIN]
            known = [value for value in thin if value is not None]
            return mean(known) if known else None
        return scores["iou_per_class"][measure]


@dataclass(frozen=True)
class Difference:
    """A row minus its baseline, seed by seed.

    Args:
        row, baseline: Their names.
        seeds: That both have.
        over_seeds: Measure -> interval; measures as of `Result.values`.
        over_images: Of the mIoU.
        over_single_images: Likewise, as if frames were independent.
    """

    row: str
    baseline: str
    seeds: tuple[int, ...]
    over_seeds: Mapping[str, Interval]
    over_images: Interval
    over_single_images: Interval


def read_results(out: Path) -> dict[Place, dict[str, Result]]:
    """Every finished row by place, in the order of the declaration.

    Raises:
        InputError: Nothing is finished yet.
    """
    finished = [entry for entry in read_ledger(out).values() if entry.finished]
    if not finished:
        raise InputError(f"no run in {out} is finished yet; train some first (--data DIR)")
    declared = {(row.size, row.host, row.name): row for row in declared_rows()}
    results: dict[Place, dict[str, Result]] = {}
    for (size, host, name), row in declared.items():
        own = [e for e in finished if (e.size, e.host, e.name) == (size, host, name)]
        for epochs in sorted({entry.epochs for entry in own}):
            runs = [entry for entry in own if entry.epochs == epochs]
            results.setdefault((epochs, size, host), {})[name] = _result(out, row, epochs, runs)
    return results


def declared_rows() -> list[Row]:
    """Of all parts, sizes and hosts, each once: as the first part declares it.

    Later parts repeat rows of the ablation, compared with fewer others.
    """
    found: dict[tuple[str, str, str], Row] = {}
    for part in PARTS:
        for row in rows_of(part, sizes=list(SIZES), hosts=list(HOSTS)):
            found.setdefault((row.size, row.host, row.name), row)
    return list(found.values())


def difference(result: Result, baseline: Result) -> Difference | None:
    """Of the seeds both have; None where they have none in common.

    Raises:
        InputError: They were not scored on the same images.
    """
    seeds = [seed for seed in result.seeds if seed in baseline.scores]
    if not seeds:
        return None
    names = {
        tuple(image["name"] for image in each.scores[seed]["images"])
        for each in (result, baseline)
        for seed in seeds
    }
    if len(names) > 1:
        raise InputError(
            f"{result.row.name} and {baseline.row.name} were scored on different images; "
            "score both on one val split"
        )
    measures = ["miou", "boundary", "thin", *result.class_names]
    runs = [result.counts(seed) for seed in seeds]
    baselines = [baseline.counts(seed) for seed in seeds]
    return Difference(
        result.row.name,
        baseline.row.name,
        tuple(seeds),
        {name: paired for name in measures if (paired := _paired(result, baseline, name))},
        over_images(runs, baselines),
        over_images(runs, baselines, block=1),
    )


def paired_values(result: Result, baseline: Result, measure: str) -> list[float]:
    """One difference a seed that both have, ascending; measures as of `Result.values`."""
    mine, other = result.values(measure), baseline.values(measure)
    return [mine[seed] - other[seed] for seed in sorted(mine) if seed in other]


def label_share(results: Mapping[str, Result], gained: str) -> dict[str, Any] | None:
    """How much of a row's gain over the paper's baseline the full label alone gives.

    Only seeds that all three rows have are counted, and at least three of them: two that happen to
    agree make an interval of no width.

    Returns:
        `gain` of the row over `low label`, `label` gain of `full label` over it, and `share`, their
        quotient; the share is None unless the gain's interval over seeds is above 0, since a
        quotient by what may be nothing says nothing. None where a row or a seed is missing.
    """
    names = (LOW_LABEL, FULL_LABEL, gained)
    if not set(names) <= set(results):
        return None
    low, label, mine = (results[name].values("miou") for name in names)
    common = sorted(low.keys() & label.keys() & mine.keys())
    if len(common) < FEWEST_SEEDS:
        return None
    gain = over_seeds([mine[seed] - low[seed] for seed in common])
    of_label = over_seeds([label[seed] - low[seed] for seed in common])
    share = of_label.value / gain.value if gain.is_clear and gain.value > 0 else None
    return {"row": gained, "gain": gain, "label": of_label, "share": share}


def shares(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """`label_share` of SSSR alone and of all of DSRL."""
    return [found for name in (SSSR, ALL) if (found := label_share(results, name)) is not None]


def image_gains(result: Result, baseline: Result, seed: int) -> dict[str, float]:
    """Image -> its mIoU over the classes in its truth, minus the baseline's."""
    names = [image["name"] for image in result.scores[seed]["images"]]
    mine, other = (_image_mious(each.counts(seed)) for each in (result, baseline))
    gains = zip(names, mine, other, strict=True)
    return {name: float(a - b) for name, a, b in gains if not np.isnan(a - b)}


def _image_mious(counts: Counts) -> np.ndarray:
    values = np.where(counts[:, 1] > 0, iou(counts), np.nan)
    known = ~np.isnan(values)
    total, number = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    return np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0)


def _paired(result: Result, baseline: Result, measure: str) -> Interval | None:
    pairs = paired_values(result, baseline, measure)
    return over_seeds(pairs) if pairs else None


def _result(out: Path, row: Row, epochs: int, entries: Sequence[Entry]) -> Result:
    folders = {entry.seed: out / entry.run for entry in entries}
    seconds = [entry.seconds for entry in entries if entry.seconds is not None]
    return Result(
        row,
        epochs,
        folders,
        {seed: read_scores(folder) for seed, folder in folders.items()},
        mean(seconds) / 3600 if seconds else None,
    )
