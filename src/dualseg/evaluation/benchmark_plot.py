"""Accuracy against latency as an SVG file that stands alone."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from dualseg.visual.numbers import short_number
from dualseg.visual.plots import nice_ticks

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 280, 16, 46
NAME_X = WIDTH - RIGHT + 24
NAME_HEIGHT = 16
STYLE = (
    "text{font:12px sans-serif;fill:#333}line{stroke:#ddd}.leader{stroke:#aaa}circle{fill:#1f6fb4}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}line{stroke:#444}.leader{stroke:#777}"
    "circle{fill:#6db3f2}}"
)


class Measured(NamedTuple):
    """One point: a name, milliseconds an image, and a mIoU from 0 to 1."""

    name: str
    milliseconds: float
    miou: float


def accuracy_against_latency(points: Sequence[Measured]) -> str:
    """An SVG document; up and left is better. Names stand beside the plot, none over another.

    Args:
        points: At least one.
    """
    bottom = max(HEIGHT, TOP + NAME_HEIGHT * len(points) + BOTTOM)
    x_ticks = nice_ticks(0.0, max(point.milliseconds for point in points))
    scores = [100 * point.miou for point in points]
    margin = max(1.0, 0.1 * (max(scores) - min(scores)))
    y_ticks = nice_ticks(min(scores) - margin, max(scores) + margin)

    def x(value: float) -> float:
        return LEFT + value / x_ticks[-1] * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        share = (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return bottom - BOTTOM - share * (bottom - TOP - BOTTOM)

    parts = [f"<style>{STYLE}</style>"]
    for tick in y_ticks:
        parts.append(_line(LEFT, y(tick), WIDTH - RIGHT, y(tick)))
        parts.append(_text(LEFT - 8, y(tick) + 4, short_number(tick), "end"))
    for tick in x_ticks:
        parts.append(_text(x(tick), bottom - BOTTOM + 18, short_number(tick), "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, bottom - 8, "milliseconds an image", "middle"))
    parts.append(_text(LEFT, TOP - 4, "mIoU, per cent", "start"))
    # Of points at one height the right one is named first, so that leaders do not cross.
    ordered = sorted(points, key=lambda point: (-point.miou, -point.milliseconds))
    heights = _apart([y(100 * point.miou) for point in ordered], TOP, bottom - BOTTOM)
    places = [(x(point.milliseconds), y(100 * point.miou)) for point in ordered]
    for (cx, cy), height in zip(places, heights, strict=True):
        parts.append(_line(cx, cy, NAME_X - 4, height, kind="leader"))
    for point, (cx, cy), height in zip(ordered, places, heights, strict=True):
        parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="5"/>')
        parts.append(_text(NAME_X, height + 4, point.name, "start"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom}" '
        f'width="{WIDTH}" height="{bottom}">{"".join(parts)}</svg>\n'
    )


def _apart(heights: Sequence[float], top: float, bottom: float) -> list[float]:
    """Heights from the top down, moved to lie a line apart between `top` and `bottom`."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + NAME_HEIGHT if moved else top))
    limit = bottom
    for index in range(len(moved) - 1, -1, -1):
        moved[index] = min(moved[index], limit)
        limit = moved[index] - NAME_HEIGHT
    return moved


def _line(x1: float, y1: float, x2: float, y2: float, *, kind: str = "grid") -> str:
    places = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line class="{kind}" {places}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
