"""Accuracy against latency as an SVG file that stands alone."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from dualseg.visual.plots import nice_ticks, short_number

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 150, 16, 46
STYLE = (
    "text{font:12px sans-serif;fill:#333}line{stroke:#ddd}circle{fill:#1f6fb4}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}line{stroke:#444}circle{fill:#6db3f2}}"
)


class Measured(NamedTuple):
    """One point: a name, milliseconds an image, and a mIoU from 0 to 1."""

    name: str
    milliseconds: float
    miou: float


def accuracy_against_latency(points: Sequence[Measured]) -> str:
    """An SVG document; up and left is better.

    Args:
        points: At least one.
    """
    x_ticks = nice_ticks(0.0, max(point.milliseconds for point in points))
    scores = [100 * point.miou for point in points]
    margin = max(1.0, 0.1 * (max(scores) - min(scores)))
    y_ticks = nice_ticks(min(scores) - margin, max(scores) + margin)

    def x(value: float) -> float:
        return LEFT + value / x_ticks[-1] * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        share = (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    parts = [f"<style>{STYLE}</style>"]
    for tick in y_ticks:
        parts.append(_line(LEFT, y(tick), WIDTH - RIGHT, y(tick)))
        parts.append(_text(LEFT - 8, y(tick) + 4, short_number(tick), "end"))
    for tick in x_ticks:
        parts.append(_text(x(tick), HEIGHT - BOTTOM + 18, short_number(tick), "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "milliseconds an image", "middle"))
    parts.append(_text(LEFT, TOP - 4, "mIoU, per cent", "start"))
    for point in points:
        cx, cy = x(point.milliseconds), y(100 * point.miou)
        parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="5"/>')
        parts.append(_text(cx + 9, cy + 4, point.name, "start"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}">{"".join(parts)}</svg>\n'
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
