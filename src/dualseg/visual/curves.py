"""The curves of one run's training."""

from collections.abc import Mapping, Sequence
from typing import Any

from dualseg.visual.page import chart_figure, note, section, series_legend
from dualseg.visual.plots import Line, line_chart, series_color, thin_out
from dualseg.visual.run_files import points_of

LOSS_NAMES = (
    "loss",
    "cross_entropy",
    "ohem",
    "bootstrapped",
    "focal",
    "lovasz",
    "dice",
    "tversky",
    "boundary",
    "auxiliary",
    "image",
    "affinity",
    "distillation",
    "distillation_features",
)
THIN_COLORS = (3, 4, 5, 6, 7)
"""Of the series colours those that are neither gray nor near the accent."""
DASHES = ("", "6 3", "2 2.5")
"""Once the colours are used up, they begin again with the next of these."""


def curve_part(
    training: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]]
) -> str:
    """Losses, validation mIoU and learning rate over the steps, as far as they were measured."""
    names = [n for n in _loss_names(training) if points_of(training, n)]
    charts = []
    if names:
        lines = [_loss_line(number, name, training) for number, name in enumerate(names)]
        legend = series_legend(names, [line.color for line in lines], [line.dash for line in lines])
        chart = line_chart(lines, title="Losses over steps", x_label="step")
        charts.append(chart_figure("Training loss", legend + chart))
    for entries, key, title in (
        (validation, "miou", "Validation mIoU"),
        (training, "lr", "Learning rate"),
    ):
        points = points_of(entries, key)
        if points:
            line = Line(title, points, "var(--accent)")
            charts.append(
                chart_figure(title, line_chart([line], title=f"{title} over steps", x_label="step"))
            )
    if not charts:
        return note("There are no curves yet: metrics.jsonl holds no measurement.")
    lead = "Each loss is shown with its weight, so the thin lines add up to the thick one."
    return section("Training", lead, f'<div class="charts">{"".join(charts)}</div>')


def _loss_line(number: int, name: str, training: Sequence[Mapping[str, Any]]) -> Line:
    color, dash = "var(--accent)", ""
    if number > 0:
        turn, place = divmod(number - 1, len(THIN_COLORS))
        color, dash = series_color(THIN_COLORS[place]), DASHES[turn % len(DASHES)]
    points = thin_out(points_of(training, name))
    return Line(name, points, color, is_main=name == "loss", dash=dash)


def _loss_names(training: Sequence[Mapping[str, Any]]) -> list[str]:
    present = {key for entry in training for key in entry}
    others = sorted(key for key in present if key.startswith("loss_"))
    return [name for name in LOSS_NAMES if name in present] + others
