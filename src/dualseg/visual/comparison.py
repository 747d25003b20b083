"""Several variants on one self-contained page, as `quickstart` and `ablate` leave it."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from dualseg.core.errors import InputError
from dualseg.core.facts import default_labels
from dualseg.core.files import write_text
from dualseg.core.geometry import Size
from dualseg.core.labels import LabelSpec
from dualseg.visual.comparison_gallery import comparison_shots
from dualseg.visual.comparison_rows import ComparisonRow, verdict
from dualseg.visual.comparison_tables import (
    class_cells,
    class_comparison,
    markdown_table,
    score_cells,
    score_table,
)
from dualseg.visual.page import (
    card,
    chart_figure,
    class_legend,
    heading,
    note,
    render_page,
    section,
    series_legend,
)
from dualseg.visual.plots import DotRow, Line, dot_chart, line_chart, row_color
from dualseg.visual.protocol_words import describe_protocol
from dualseg.visual.run_files import StoredEvaluation, points_of, read_evaluation, split_history

__all__ = ["ComparisonRow", "write_comparison"]

REPORT_FILE = "report.html"
TABLE_FILE = "table.md"


def write_comparison(
    folder: Path,
    rows: Sequence[ComparisonRow],
    *,
    title: str = "Comparison",
    num_baselines: int = 1,
    num_images: int = 5,
    latency_size: Size | None = None,
) -> Path:
    """Writes `report.html` and `table.md` into `folder`.

    Args:
        folder: Where to.
        rows: In the order of the tables, baselines first. Curves and pictures come from their run
            folders, as far as these have them.
        title: Of the page.
        num_baselines: So many first rows are what all others are compared with.
        num_images: In the gallery, those on which the variants differ most.
        latency_size: (height, width) of the image the latencies are of, where they were measured.

    Returns:
        The page.

    Raises:
        InputError: There is no row, a row without a score, or a damaged file.
    """
    if not rows or not all(row.miou for row in rows):
        raise InputError(
            "there is nothing to compare: every variant needs at least one finished run"
        )
    stored = [read_evaluation(row.runs[0]) if row.runs else None for row in rows]
    evaluations = [evaluation for evaluation in stored if evaluation is not None]
    labels = _labels(rows, evaluations)
    protocol = describe_protocol(evaluations[0].scores["protocol"]) if evaluations else ""
    latency = _latency_words(latency_size)
    body = [
        heading("comparison", title),
        f"<p>{escape(verdict(rows, num_baselines))}</p>",
        _score_part(rows, num_baselines, protocol, latency),
        _chart_part(rows, num_baselines),
        _class_part(rows, labels),
        _gallery_part(rows, evaluations, labels, num_images),
        "<footer>Scores are 0 to 1. ± is the sample standard deviation over the seeds. A paired "
        "difference "
        "subtracts the runs of equal seed first.</footer>",
    ]
    write_text(
        folder / TABLE_FILE, _markdown(title, rows, num_baselines, labels, protocol, latency)
    )
    path = folder / REPORT_FILE
    write_text(path, render_page(f"{title} · dualseg", body))
    return path


def _labels(rows: Sequence[ComparisonRow], evaluations: Sequence[StoredEvaluation]) -> LabelSpec:
    num_classes = len(rows[0].iou_per_class[0]) if rows[0].iou_per_class else 1
    return evaluations[0].labels if evaluations else default_labels(num_classes)


def _latency_words(size: Size | None) -> str:
    of = "" if size is None else f" of {size[0]}x{size[1]}"
    return f"Latency is the median of one image{of}, full size in and full size out."


def _score_part(
    rows: Sequence[ComparisonRow], num_baselines: int, protocol: str, latency: str
) -> str:
    lead = f"Protocol: {protocol}. " if protocol else ""
    lead += latency
    return section("Scores", lead, card(score_table(rows, num_baselines)))


def _chart_part(rows: Sequence[ComparisonRow], num_baselines: int) -> str:
    colors = [row_color(number, num_baselines) for number in range(len(rows))]
    dots = [DotRow(row.name, row.miou, color) for row, color in zip(rows, colors, strict=True)]
    charts = [
        chart_figure(
            "mIoU of every seed, bar at the mean",
            dot_chart(
                dots, title="mIoU of every seed", x_label="mIoU (the axis does not start at 0)"
            ),
        )
    ]
    lines = [
        Line(f"{row.name}, {run.name}", points, color, is_main=len(row.runs) == 1)
        for row, color in zip(rows, colors, strict=True)
        for run in row.runs
        if (points := points_of(split_history(run, "val"), "miou"))
    ]
    if lines:
        legend = series_legend([row.name for row in rows], colors)
        chart = line_chart(lines, title="Validation mIoU over steps", x_label="step")
        charts.append(chart_figure("Validation mIoU during training", legend + chart))
    return f'<div class="charts pair">{"".join(charts)}</div>'


def _class_part(rows: Sequence[ComparisonRow], labels: LabelSpec) -> str:
    if not all(row.iou_per_class for row in rows):
        return ""
    lead = (
        "IoU of each class, mean over the seeds; the highest is bold. "
        "The gain is the last variant's over the first."
    )
    return section("Classes", lead, card(class_comparison(rows, labels)))


def _gallery_part(
    rows: Sequence[ComparisonRow],
    evaluations: Sequence[StoredEvaluation],
    labels: LabelSpec,
    count: int,
) -> str:
    if len(evaluations) < len(rows):
        return note("There are no pictures: not every run keeps an evaluation yet.")
    shots = comparison_shots([row.name for row in rows], evaluations, count=count)
    lead = (
        "Images on which the first seeds' predictions differ most, out of evenly spaced ones. "
        "Below each, the "
        "framed part close up. The input is shown as the network sees it; numbers are the image's "
        "mIoU."
    )
    return section("Side by side", lead, class_legend(labels), *shots) if shots else ""


def _markdown(
    title: str,
    rows: Sequence[ComparisonRow],
    num_baselines: int,
    labels: LabelSpec,
    protocol: str,
    latency: str,
) -> str:
    parts = [f"# {title}\n", verdict(rows, num_baselines) + "\n"]
    if protocol:
        parts.append(f"Protocol: {protocol}.\n")
    parts.append(latency + "\n")
    parts.append(markdown_table(score_cells(rows, num_baselines)))
    if all(row.iou_per_class for row in rows):
        parts.append(markdown_table(class_cells(rows, labels.class_names)))
    return "\n".join(parts)
