"""Scores beyond the confusion matrix on a page: of one run, or of several side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from dualseg.visual.bar_tables import BarSeries, Column, bar_table
from dualseg.visual.numbers import percent_text
from dualseg.visual.page import card, section, series_legend
from dualseg.visual.reliability import CalibrationSeries, reliability_chart, reliability_table
from dualseg.visual.run_files import StoredEvaluation
from dualseg.visual.stored_scores import (
    BOUNDARY_SCORES,
    OBJECT_SIZES,
    Band,
    ObjectScores,
    SizeScore,
)


@dataclass(frozen=True)
class ShownRun:
    """A run on the page.

    Args:
        name: As it is called there.
        color: A CSS colour.
        evaluation: What it keeps.
    """

    name: str
    color: str
    evaluation: StoredEvaluation


def calibration_part(runs: Sequence[ShownRun]) -> str:
    """The reliability plot of the runs that have one; empty where none has."""
    series = [
        CalibrationSeries(run.name, run.color, run.evaluation.extra.calibration)
        for run in runs
        if run.evaluation.extra.calibration
    ]
    if not series:
        return ""
    lead = (
        "Above the diagonal a network is right more often than it says, below it less often. "
        "Larger dots hold more pixels. The expected calibration error is the mean distance from "
        "the diagonal over all pixels, 0 at best."
    )
    errors = bar_table(
        "Run",
        [escape(run.name) for run in series],
        "Expected calibration error",
        [BarSeries("", "var(--accent)", [run.calibration.ece for run in series])],
    )
    numbers = "".join(
        f"<details><summary>The numbers{_of(run.name, series)}</summary>"
        f"{reliability_table(run.calibration)}</details>"
        for run in series
    )
    chart = _legend(runs, series) + reliability_chart(series)
    body = card(f'<div class="split even"><div>{chart}</div><div>{errors}{numbers}</div></div>')
    return section("How sure, how right", lead, body)


def object_part(runs: Sequence[ShownRun]) -> str:
    """Recall and found objects by size; empty where no run has them."""
    scored = [(run, run.evaluation.extra.objects) for run in runs if run.evaluation.extra.objects]
    known = [(run, objects) for run, objects in scored if objects]
    if not known:
        return ""
    first = known[0][1]
    sizes = [(run, [objects.sizes[size] for size in OBJECT_SIZES]) for run, objects in known]
    tables = _row_tables(
        "Size",
        [escape(text) for text in _size_words(first)],
        Column("Objects", [f"{first.sizes[size].num_objects:,}" for size in OBJECT_SIZES]),
        {"recall": "Pixels that are right", "found": "Objects found"},
        sizes,
    )
    lead = (
        "An object is a connected piece of one class in the ground truth, since class ids do not "
        "tell touching objects apart; its size is its number of pixels. Found means that at least "
        "half of its pixels are right."
    )
    legend = _legend(runs, [run for run, _ in known])
    return section("Small and large objects", lead, card(legend, *tables))


def boundary_part(runs: Sequence[ShownRun]) -> str:
    """Boundary scores, and scores by the distance from one; empty where no run has any."""
    tables = []
    for key, name in BOUNDARY_SCORES.items():
        known = [
            (run, score)
            for run in runs
            if (score := (run.evaluation.extra.boundaries or {}).get(key)) is not None
        ]
        if known:
            near = f"{100 * known[0][1].ratio:g} % of the diagonal"
            tables.append(
                bar_table(
                    "Run",
                    [escape(run.name) for run, _ in known],
                    f"{name}, mean over the classes, within {near}",
                    [BarSeries("", "var(--accent)", [score.mean for _, score in known])],
                )
            )
    lead = (
        "How well the rims of regions fit: the same scores, counted near the rims alone, or in "
        "bands around them. They show what the IoU of large regions hides: what is wrong near a "
        "boundary is a matter of detail, what is wrong far from it was taken for something else."
    )
    tables += _band_tables(runs)
    return section("Boundaries", lead, card(*tables)) if tables else ""


def _band_tables(runs: Sequence[ShownRun]) -> list[str]:
    """Accuracy and mIoU by the distance from a boundary; nothing where no run has them."""
    known = [(run, bands) for run in runs if (bands := run.evaluation.extra.bands)]
    if not known:
        return []
    first = known[0][1]
    total = max(1, sum(band.pixels for band in first))
    tables = _row_tables(
        "Distance from a boundary",
        [escape(_band_words(band)) for band in first],
        Column("Pixels", [percent_text(band.pixels / total) for band in first]),
        {"pixel_accuracy": "Pixels that are right", "miou": "mIoU"},
        known,
    )
    return [_legend(runs, [run for run, _ in known]), *tables]


def _row_tables(
    corner: str,
    row_labels: Sequence[str],
    before: Column,
    measures: Mapping[str, str],
    runs: Sequence[tuple[ShownRun, Sequence[SizeScore] | Sequence[Band]]],
) -> list[str]:
    """A table of each measure, whose name stands under its attribute of a score. Every run has a
    score for each row."""
    return [
        bar_table(
            corner,
            row_labels,
            measure,
            [
                BarSeries(run.name, run.color, [getattr(score, key) for score in scores])
                for run, scores in runs
            ],
            before=[before],
        )
        for key, measure in measures.items()
    ]


def _band_words(band: Band) -> str:
    return f"from {band.low} px" if band.high is None else f"{band.low} to {band.high} px"


def _size_words(objects: ObjectScores) -> list[str]:
    medium, large = objects.limits
    return [
        f"small, below {medium:,}",
        f"medium, below {large:,}",
        f"large, from {large:,}",
    ]


def _of(name: str, series: Sequence[CalibrationSeries]) -> str:
    return f" of {escape(name)}" if len(series) > 1 else ""


def _legend(runs: Sequence[ShownRun], shown: Sequence[ShownRun | CalibrationSeries]) -> str:
    """Of those shown; empty where the page has one run."""
    if len(runs) == 1:
        return ""
    return series_legend([run.name for run in shown], [run.color for run in shown])
