"""Charts as SVG text. Colours are the page's CSS variables, so they follow its theme."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dualseg.visual.numbers import short_number

WIDTH, HEIGHT = 380, 236
LEFT, RIGHT, TOP, BOTTOM = 50, 16, 10, 38
ROW_HEIGHT = 38
NUM_SERIES_COLORS = 8
NUM_GREYS = 2  # the first of them

Point = tuple[float, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One curve.

    Args:
        name: Shown when the pointer rests on it.
        points: (x, y), x ascending.
        color: A CSS colour.
        is_main: Drawn thick; the others thin.
        dash: SVG's stroke-dasharray; a whole line where empty.
    """

    name: str
    points: Sequence[Point]
    color: str
    is_main: bool = True
    dash: str = ""


@dataclass(frozen=True)
class DotRow:
    """One row of dots: the seeds of one variant.

    Args:
        name: Written above the dots.
        values: One dot each; their mean is a bar.
        color: A CSS colour.
        interval: Drawn as a line behind the dots; None for none.
    """

    name: str
    values: Sequence[float]
    color: str
    interval: Range | None = None


def series_color(index: int) -> str:
    """The CSS colour of the run, loss or variant number `index`."""
    return f"var(--series-{index % NUM_SERIES_COLORS})"


def row_color(number: int, num_baselines: int) -> str:
    """The CSS colour of row `number` of a comparison: baselines are grey."""
    if number < num_baselines:
        return series_color(min(number, NUM_GREYS - 1))
    return series_color(NUM_GREYS + (number - num_baselines) % (NUM_SERIES_COLORS - NUM_GREYS))


def line_chart(lines: Sequence[Line], *, title: str, x_label: str) -> str:
    """Curves over one pair of axes; x starts at 0. Few points are drawn as dots too.

    Args:
        lines: At least one, each with at least one point.
        title: Said by screen readers.
        x_label: Written under the axis.
    """
    x_range = _range([0.0, *(x for line in lines for x, _ in line.points)])
    y_range = _range([y for line in lines for _, y in line.points])
    y_ticks = nice_ticks(*y_range)
    y_range = min(y_range[0], y_ticks[0]), max(y_range[1], y_ticks[-1])
    frame = _Frame(x_range, y_range, WIDTH, HEIGHT)
    parts = [_grid_line(frame, tick) for tick in y_ticks]
    parts += [_x_tick(frame, tick) for tick in nice_ticks(*x_range) if tick <= x_range[1]]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, HEIGHT - 3, x_label, anchor="middle"))
    parts += [_curve(frame, line) for line in sorted(lines, key=lambda line: line.is_main)]
    return _svg(parts, title, HEIGHT)


def dot_chart(rows: Sequence[DotRow], *, title: str, x_label: str) -> str:
    """One row of dots a variant over a common axis; a bar marks the mean.

    Args:
        rows: From the top; each with at least one value.
        title: Said by screen readers.
        x_label: Written under the axis.
    """
    low, high = _range([v for row in rows for v in (*row.values, *(row.interval or ()))])
    margin = 0.08 * (high - low)
    height = TOP + ROW_HEIGHT * len(rows) + BOTTOM
    frame = _Frame((low - margin, high + margin), (0.0, 1.0), WIDTH, height, left=14)
    ticks = [
        t for t in nice_ticks(low - margin, high + margin) if low - margin <= t <= high + margin
    ]
    parts = [_vertical_line(frame, tick) for tick in ticks]
    parts += [_x_tick(frame, tick) for tick in ticks]
    parts.append(_text(WIDTH / 2, height - 3, x_label, anchor="middle"))
    for number, row in enumerate(rows):
        parts += _dots(frame, row, y=TOP + ROW_HEIGHT * number + 24)
    return _svg(parts, title, height)


def thin_out(points: Sequence[Point], max_points: int = 240) -> list[Point]:
    """Means of neighbouring points, at most `max_points` of them: noisy curves become readable."""
    size = -(-len(points) // max_points)
    groups = [points[start : start + size] for start in range(0, len(points), size or 1)]
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for group in groups
    ]


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round values that cover low..high."""
    rough = (high - low) / count
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


@dataclass(frozen=True)
class _Frame:
    """From values to SVG units."""

    x_range: Range
    y_range: Range
    width: float
    height: float
    left: float = LEFT

    def x(self, value: float) -> float:
        low, high = self.x_range
        return self.left + (value - low) / (high - low) * (self.width - self.left - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return TOP + (high - value) / (high - low) * (self.height - TOP - BOTTOM)


def _range(values: Sequence[float]) -> Range:
    low, high = min(values), max(values)
    if high > low:
        return low, high
    return low - (abs(low) or 1.0) * 0.5, high + (abs(high) or 1.0) * 0.5


def _grid_line(frame: _Frame, value: float) -> str:
    y = frame.y(value)
    line = f'<line class="grid" x1="{frame.left}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + _text(frame.left - 7, y + 4, short_number(value), anchor="end")


def _vertical_line(frame: _Frame, value: float) -> str:
    x = frame.x(value)
    return f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{frame.height - BOTTOM}"/>'


def _x_tick(frame: _Frame, value: float) -> str:
    y = frame.height - BOTTOM + 15
    return _text(frame.x(value), y, short_number(value), anchor="middle")


def _curve(frame: _Frame, line: Line) -> str:
    places = [(frame.x(x), frame.y(y)) for x, y in line.points]
    label = f"<title>{escape(line.name)}</title>"
    width = 2.2 if line.is_main else 1.3
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dash = f'stroke-dasharray="{line.dash}" ' if line.dash else ""
    drawn = (
        f'<polyline fill="none" stroke="{line.color}" stroke-width="{width}" {dash}'
        f'stroke-linejoin="round" stroke-linecap="round" points="{path}">{label}</polyline>'
    )
    if len(places) > 12 or (len(places) > 1 and not line.is_main):
        return drawn
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 0.6}"/>' for x, y in places)
    return f'{drawn}<g fill="{line.color}">{label}{dots}</g>'


def _dots(frame: _Frame, row: DotRow, y: float) -> list[str]:
    mean = sum(row.values) / len(row.values)
    x = frame.x(mean)
    dots = "".join(
        f'<circle cx="{frame.x(value):.1f}" cy="{y}" r="5"><title>{value:.4f}</title></circle>'
        for value in row.values
    )
    return [
        f'<line class="grid" x1="14" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>',
        _interval(frame, row, y) if row.interval else "",
        f'<g fill="{row.color}" fill-opacity="0.75">{dots}</g>',
        f'<line stroke="{row.color}" stroke-width="3" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 9}" '
        f'y2="{y + 9}"/>',
        _text(14, y - 12, row.name, anchor="start", strong=True),
        _text(WIDTH - RIGHT, y - 12, f"{mean:.3f}", anchor="end", strong=True),
    ]


def _interval(frame: _Frame, row: DotRow, y: float) -> str:
    low, high = row.interval or (0.0, 0.0)
    return (
        f'<line stroke="{row.color}" stroke-width="7" stroke-opacity="0.35" '
        f'stroke-linecap="round" x1="{frame.x(low):.1f}" x2="{frame.x(high):.1f}" y1="{y}" '
        f'y2="{y}"><title>{low:.4f} to {high:.4f}</title></line>'
    )


def _text(x: float, y: float, text: str, *, anchor: str, strong: bool = False) -> str:
    kind = "strong" if strong else "label"
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _svg(parts: Sequence[str], title: str, height: float) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
