"""What the study's plots share: colours, axes, the bars of intervals, files without a date."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from camvid_study.intervals import Interval
from dualseg.core.errors import InputError
from dualseg.core.files import new_file

COLORS = (
    "#1b6ca8",
    "#c4572b",
    "#3a8a4d",
    "#7a4fa3",
    "#8a7a2b",
    "#555b66",
    "#c23b80",
    "#2a9d9d",
)
PER_PLOT = len(COLORS)


def prepare_matplotlib() -> None:
    """One run's files equal another's: text stays text, ids come from the content.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        import matplotlib  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError("the plots need matplotlib: pip install 'dualseg[study]'") from None
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "study", "svg.fonttype": "none", "font.size": 9})


def new_figure(height: float = 3.8) -> tuple[Any, Any]:
    """A figure as wide as a page, `height` in inches, and its axes."""
    figure, (axes,) = new_row(1, width=6.4, height=height)
    return figure, axes


def new_row(count: int, *, width: float, height: float) -> tuple[Any, list[Any]]:
    """A figure and `count` axes beside each other, with scales in common; sizes in inches."""
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]

    figure = Figure(figsize=(width, height), layout="constrained")
    row = figure.subplots(1, count, sharex=True, sharey=True, squeeze=False)[0]
    for axes in row:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dddddd", lw=0.6)
    return figure, list(row)


def draw_points(
    axes: Any, intervals: Sequence[Interval], rows: Sequence[float], **style: Any
) -> None:
    """Each value in points at its row, with the bar of its interval where it has one."""
    values = [100 * interval.value for interval in intervals]
    ends = [
        [0.0 if each.low is None else 100 * (each.value - each.low) for each in intervals],
        [0.0 if each.high is None else 100 * (each.high - each.value) for each in intervals],
    ]
    axes.errorbar(values, rows, xerr=ends, fmt="o", ms=4, **style)


def name_rows(axes: Any, names: Sequence[str]) -> None:
    """The first name on top, and a line at 0 points."""
    axes.axvline(0, color="#888888", lw=0.8)
    axes.set_yticks(range(len(names)), names)
    if not axes.yaxis_inverted():
        axes.invert_yaxis()


def save_svg(figure: Any, path: Path) -> Path:
    """Writes it whole or not at all."""
    with new_file(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    return path
