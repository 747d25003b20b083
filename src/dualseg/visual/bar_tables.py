"""Tables with a bar for every score: readable as a picture, and as numbers by a screen reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dualseg.visual.numbers import score_text
from dualseg.visual.page import breakable, scroll


@dataclass(frozen=True)
class BarSeries:
    """The scores of one run, one a row.

    Args:
        name: Heads the column of its numbers.
        color: A CSS colour.
        values: 0 to 1, or None.
    """

    name: str
    color: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Column:
    """A column of text beside the bars, one text a row."""

    name: str
    texts: Sequence[str]


def bar_table(
    corner: str,
    row_labels: Sequence[str],
    measure: str,
    series: Sequence[BarSeries],
    *,
    before: Sequence[Column] = (),
    after: Sequence[Column] = (),
) -> str:
    """One row a label with a bar for every run, one under the other, and the numbers beside them.

    Args:
        corner: What the rows are.
        row_labels: HTML.
        measure: What the bars show.
        series: At least one run.
        before: Columns left of the bars.
        after: Columns right of the numbers.
    """
    single = len(series) == 1
    numbers = [("" if single else run.name) for run in series]
    head = (
        f'<th scope="col">{escape(corner)}</th>'
        + "".join(_head(column.name) for column in before)
        + f'<th scope="col" class="wide"{" colspan=2" if single else ""}>{escape(measure)}</th>'
        + ("" if single else "".join(_head(name) for name in numbers))
        + "".join(_head(column.name) for column in after)
    )
    rows = "".join(
        f'<tr><th scope="row">{label}</th>'
        + "".join(_cell(column.texts[number]) for column in before)
        + f'<td class="wide">{"".join(_bar(run, number) for run in series)}</td>'
        + "".join(_score_cell(series, place, number) for place in range(len(series)))
        + "".join(_cell(column.texts[number]) for column in after)
        + "</tr>"
        for number, label in enumerate(row_labels)
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return scroll(table, f"{measure} by {corner.lower()}")


def _head(name: str) -> str:
    return f'<th scope="col" class="number">{breakable(name)}</th>'


def _cell(text: str) -> str:
    return f'<td class="number">{escape(text)}</td>'


def _score_cell(series: Sequence[BarSeries], place: int, row: int) -> str:
    value = series[place].values[row]
    texts = [score_text(run.values[row]) for run in series if run.values[row] is not None]
    text = score_text(value)
    best = " best" if len(set(texts)) > 1 and text == max(texts) else ""
    return f'<td class="number{best}">{text}</td>'


def _bar(run: BarSeries, row: int) -> str:
    share = 100 * (run.values[row] or 0.0)
    return f'<div class="bar"><span style="width:{share:.1f}%;background:{run.color}"></span></div>'
