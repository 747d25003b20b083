"""Finished runs side by side on one self-contained page: `dualseg report RUN RUN --out PAGE`."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from dualseg.core.files import write_text
from dualseg.visual.budget import PictureBudget
from dualseg.visual.class_tables import class_table, confusion_table
from dualseg.visual.compared_runs import ComparedRun, gains_of, image_pairs
from dualseg.visual.gain_gallery import Pairing, detail_parts, extreme_images, gain_parts
from dualseg.visual.page import (
    card,
    chart_figure,
    heading,
    note,
    render_page,
    section,
    series_legend,
)
from dualseg.visual.paired import paired_difference_over_images
from dualseg.visual.plots import DotRow, Line, dot_chart, line_chart, thin_out
from dualseg.visual.protocol_words import describe_protocol
from dualseg.visual.recipe_differences import recipe_part
from dualseg.visual.run_files import points_of, split_history
from dualseg.visual.run_gallery import gallery_part
from dualseg.visual.run_score_table import run_score_table
from dualseg.visual.score_parts import ShownRun, boundary_part, calibration_part, object_part

NUM_IMAGES = 4
"""Images of the largest gains, of the largest losses, and details of each kind."""

CURVES = (("val", "miou", "Validation mIoU"), ("train", "loss", "Training loss"))


def write_run_comparison(
    path: Path, runs: Sequence[ComparedRun], *, notes: Sequence[str] = ()
) -> Path:
    """Writes the page.

    Args:
        path: Of the page.
        runs: Two or more (`open_runs`). All are compared with the first; image by image the last
            one is.
        notes: What the reader should know beforehand.

    Returns:
        The page.

    Raises:
        InputError: A file of a run is missing or damaged, or the page cannot be written.
    """
    shown = [ShownRun(run.name, run.color, run.evaluation) for run in runs]
    evaluations = [run.evaluation for run in runs]
    title = " · ".join(run.name for run in runs)
    body = [
        heading("comparison of runs", title),
        *(f"<p>{escape(sentence)}</p>" for sentence in verdicts(runs)),
        *(note(text) for text in (*notes, *_warnings(runs))),
        _score_part(runs),
        _chart_part(runs),
        section(
            "Classes",
            "IoU of each class over the whole split, the highest bold. Pixels are its share of the "
            "labelled ones.",
            card(_legend(runs), class_table(evaluations, [(run.name, run.color) for run in runs])),
        ),
        boundary_part(shown),
        object_part(shown),
        calibration_part(shown),
        _confusion_part(runs),
        *_picture_parts(runs),
        recipe_part([run.name for run in runs], [run.folder for run in runs]),
        "<footer>Scores are 0 to 1. Intervals hold 95 % of the resamples of a bootstrap over the "
        "images; they say nothing about other seeds of training. Images are taken as independent: "
        "for frames of one video the intervals are too narrow.</footer>",
    ]
    write_text(path, render_page(f"{title} · dualseg", body))
    return path


def verdicts(runs: Sequence[ComparedRun]) -> list[str]:
    """One sentence on each run against the first, no stronger than the images allow."""
    first = runs[0]
    sentences = []
    for run in runs[1:]:
        difference = paired_difference_over_images(run.evaluation, first.evaluation)
        if difference is None:
            continue
        says = (
            "the interval leaves 0 out"
            if difference.is_clear
            else "the interval holds 0, so the images do not tell the two apart"
        )
        sentences.append(
            f"{run.name} against {first.name}: {difference} in {difference.measure}, "
            f"over {difference.num_images} images; {says}."
        )
    return sentences


def wanted_images(runs: Sequence[ComparedRun], count: int = NUM_IMAGES) -> list[str]:
    """Images of which the page shows the gain or the loss between the first and the last run."""
    gained, lost = extreme_images(gains_of(runs[0], runs[-1]), count)
    return [*gained, *lost]


def _warnings(runs: Sequence[ComparedRun]) -> list[str]:
    first, warnings = runs[0], []
    for run in runs[1:]:
        if paired_difference_over_images(run.evaluation, first.evaluation) is None:
            warnings.append(
                f"{run.name} and {first.name} were not scored on the same images with the same "
                "truth, or on fewer than two: their scores stand side by side, but no difference "
                "is worked out."
            )
    return warnings


def _score_part(runs: Sequence[ComparedRun]) -> str:
    protocols = {run.name: describe_protocol(run.evaluation.scores["protocol"]) for run in runs}
    if len(set(protocols.values())) == 1:
        lead = f"Protocol: {protocols[runs[0].name]}."
    else:
        lead = " ".join(f"Protocol of {name}: {words}." for name, words in protocols.items())
    lead += f" The differences are to {runs[0].name}, image by image, with their 95 % interval."
    if all(run.latency_ms is None for run in runs):
        lead += " Latency was not measured; dualseg report --latency does."
    return section("Scores", lead, card(run_score_table(runs)))


def _chart_part(runs: Sequence[ComparedRun]) -> str:
    rows = [
        DotRow(run.name, [run.evaluation.scores["miou"]], run.color, _interval_of(run))
        for run in runs
    ]
    label = "mIoU (the axis does not start at 0)"
    title = "mIoU and its interval" if any(row.interval for row in rows) else "mIoU"
    charts = [chart_figure(title, dot_chart(rows, title=title, x_label=label))]
    for split, key, name in CURVES:
        lines = [
            Line(run.name, thin_out(points), run.color)
            for run in runs
            if (points := points_of(split_history(run.folder, split), key))
        ]
        if lines:
            chart = line_chart(lines, title=f"{name} over steps", x_label="step")
            charts.append(chart_figure(name, _legend(runs) + chart))
    return section("Curves", "", f'<div class="charts top">{"".join(charts)}</div>')


def _interval_of(run: ComparedRun) -> tuple[float, float] | None:
    interval = run.evaluation.extra.interval
    return (interval.low, interval.high) if interval else None


def _confusion_part(runs: Sequence[ComparedRun]) -> str:
    tables = "".join(
        f'<details class="card"><summary>{escape(run.name)}</summary>'
        f"{confusion_table(run.evaluation)}</details>"
        for run in runs
    )
    lead = "Each row is a true class and adds up to 100: the share of its pixels, in percent."
    return section("What is taken for what", lead, tables)


def _picture_parts(runs: Sequence[ComparedRun]) -> list[str]:
    before, after = runs[0], runs[-1]
    pairs = image_pairs(before, after)
    gained, lost = extreme_images(gains_of(before, after), NUM_IMAGES)
    pairing = Pairing(before.name, after.name, after.evaluation.labels)
    budget = PictureBudget()
    parts = gain_parts(pairing, pairs, gained, lost, budget)
    parts += detail_parts(pairing, pairs, NUM_IMAGES, budget)
    parts.append(
        gallery_part(
            after.evaluation,
            "worst",
            f"Worst images of {after.name}",
            "By the mIoU over the classes in the image, worst first.",
            budget,
        )
    )
    return [*parts, note(budget.words()) if budget.words() else ""]


def _legend(runs: Sequence[ComparedRun]) -> str:
    return series_legend([run.name for run in runs], [run.color for run in runs])
