"""The reliability plot: how often a network is right that says how sure it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dualseg.visual.numbers import percent_text, score_text
from dualseg.visual.page import scroll
from dualseg.visual.stored_scores import Calibration

SIZE = 300
LEFT, TOP, RIGHT, BOTTOM = 44, 10, 12, 40
SMALLEST_DOT, LARGEST_DOT = 2.0, 8.0


@dataclass(frozen=True)
class CalibrationSeries:
    """The calibration of one run, its name and its CSS colour."""

    name: str
    color: str
    calibration: Calibration


def reliability_chart(series: Sequence[CalibrationSeries]) -> str:
    """Accuracy over confidence; the diagonal is a network whose probabilities can be taken at their
    word. A dot's area grows with the share of the pixels in its bin.

    Source: Guo et al. 2017, arXiv:1706.04599, figure 1. Differs: dots at the bins' mean confidence
        in place of bars.
    """
    parts = [_tick(value) for value in (0.0, 0.25, 0.5, 0.75, 1.0)]
    parts.append(
        f'<line class="diagonal" x1="{_x(0):.1f}" y1="{_y(0):.1f}" x2="{_x(1):.1f}" '
        f'y2="{_y(1):.1f}"/>'
    )
    for run in series:
        parts.append(_curve(run))
    middle = (LEFT + SIZE - RIGHT) / 2
    parts.append(
        f'<text class="label" x="{middle}" y="{SIZE - 4}" text-anchor="middle">confidence</text>'
        f'<text class="label" x="12" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 12 {middle})">share that is right</text>'
    )
    return (
        f'<svg class="chart square" viewBox="0 0 {SIZE} {SIZE}" role="img" '
        f'aria-label="Reliability plot: {escape(_words(series))}">{"".join(parts)}</svg>'
    )


def reliability_table(calibration: Calibration) -> str:
    """The numbers behind the plot, bins without pixels left out."""
    total = sum(item.pixels for item in calibration.bins)
    rows = "".join(
        f'<tr><th scope="row">{item.low:.2f} to {item.high:.2f}</th>'
        f'<td class="number">{percent_text(item.pixels / total)}</td>'
        f'<td class="number">{score_text(item.confidence)}</td>'
        f'<td class="number">{score_text(item.accuracy)}</td></tr>'
        for item in calibration.bins
        if item.pixels
    )
    head = "".join(
        f'<th scope="col"{" class=number" if number else ""}>{name}</th>'
        for number, name in enumerate(("Confidence", "Pixels", "Mean", "Right"))
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return scroll(table, "Reliability by confidence")


def _words(series: Sequence[CalibrationSeries]) -> str:
    return "; ".join(
        f"{run.name}, expected calibration error {score_text(run.calibration.ece)}"
        for run in series
    )


def _curve(run: CalibrationSeries) -> str:
    total = sum(item.pixels for item in run.calibration.bins)
    places = [
        (_x(item.confidence), _y(item.accuracy), item.pixels / total, item)
        for item in run.calibration.bins
        if item.accuracy is not None and item.confidence is not None
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in places)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_radius(share):.1f}"><title>{escape(run.name)}: '
        f"says {item.confidence:.2f}, right {item.accuracy:.2f}, {percent_text(share)} of the "
        "pixels</title></circle>"
        for x, y, share, item in places
    )
    return (
        f'<polyline fill="none" stroke="{run.color}" stroke-width="1.6" points="{path}"/>'
        f'<g fill="{run.color}" fill-opacity="0.75">{dots}</g>'
    )


def _radius(share: float) -> float:
    return max(SMALLEST_DOT, LARGEST_DOT * math.sqrt(share))


def _x(value: float) -> float:
    return LEFT + value * (SIZE - LEFT - RIGHT)


def _y(value: float) -> float:
    return TOP + (1 - value) * (SIZE - TOP - BOTTOM)


def _tick(value: float) -> str:
    x, y = _x(value), _y(value)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{SIZE - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="label" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        f'<text class="label" x="{x:.1f}" y="{SIZE - BOTTOM + 16}" text-anchor="middle">'
        f"{value:g}</text>"
    )
