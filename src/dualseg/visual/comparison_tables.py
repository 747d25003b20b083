"""The tables of a comparison, as HTML and as Markdown."""

from collections.abc import Sequence
from html import escape

from dualseg.core.labels import LabelSpec
from dualseg.visual.class_tables import class_label, head_row
from dualseg.visual.comparison_rows import (
    ComparisonRow,
    Difference,
    paired_difference,
    spread_text,
)
from dualseg.visual.numbers import score_text
from dualseg.visual.page import breakable, scroll
from dualseg.visual.plots import row_color

Cells = list[list[str]]


def score_cells(rows: Sequence[ComparisonRow], num_baselines: int) -> Cells:
    """Head and one line of text a row."""
    baselines = rows[:num_baselines]
    head = ["", "mIoU", "seeds", *(f"against {row.name}" for row in baselines)]
    lines = [[*head, "latency", "an epoch", "parameters"]]
    for number, row in enumerate(rows):
        differences = [
            str(paired_difference(row, other)) if place < number else ""
            for place, other in enumerate(baselines)
        ]
        lines.append(
            [
                row.name,
                f"{row.mean_miou:.3f}{spread_text(row.miou)}",
                str(len(row.miou)),
                *differences,
                _unit(row.latency_ms, "ms"),
                _unit(row.seconds_per_epoch, "s"),
                "–" if row.parameters is None else f"{row.parameters / 1e6:.2f} M",
            ]
        )
    return lines


def score_table(rows: Sequence[ComparisonRow], num_baselines: int) -> str:
    """The main table as HTML: highest mean bold, gains green, losses red."""
    head, *lines = score_cells(rows, num_baselines)
    highest = max(row.mean_miou for row in rows)
    body = ""
    for number, (row, line) in enumerate(zip(rows, lines, strict=True)):
        name, score, *others = line
        mark = " best" if row.mean_miou == highest else ""
        cells = [f'<td class="number{mark}">{_with_spread(score)}</td>']
        for column, text in enumerate(others):
            is_difference = 1 <= column <= num_baselines and text
            kind = _direction(paired_difference(row, rows[column - 1])) if is_difference else ""
            cells.append(f'<td class="number {kind}">{_with_spread(text)}</td>')
        label = run_label(name, row_color(number, num_baselines))
        body += f'<tr><th scope="row">{label}</th>{"".join(cells)}</tr>'
    return scroll(f"<table>{head_row(head)}<tbody>{body}</tbody></table>", "Scores")


def class_cells(rows: Sequence[ComparisonRow], class_names: Sequence[str]) -> Cells:
    """Head and one line of text a class."""
    return [
        ["class", *(row.name for row in rows)],
        *(
            [name, *(score_text(row.mean_iou(class_id)) for row in rows)]
            for class_id, name in enumerate(class_names)
        ),
    ]


def class_comparison(rows: Sequence[ComparisonRow], labels: LabelSpec) -> str:
    """IoU of each class in each row as HTML, and the last row's gain over the first."""
    head, *lines = class_cells(rows, labels.class_names)
    body = ""
    for class_id, (name, *texts) in enumerate(lines):
        ious = [row.mean_iou(class_id) for row in rows]
        highest = max((iou for iou in ious if iou is not None), default=None)
        cells = "".join(
            f'<td class="number{" best" if iou is not None and iou == highest else ""}">{text}</td>'
            for iou, text in zip(ious, texts, strict=True)
        )
        label = class_label(name, labels.palette[class_id])
        body += f'<tr><th scope="row">{label}</th>{cells}{_gain_cell(ious[0], ious[-1])}</tr>'
    table_head = head_row([*head, "gain"])
    return scroll(f"<table>{table_head}<tbody>{body}</tbody></table>", "IoU of each class")


def markdown_table(cells: Cells) -> str:
    """First line as the head; columns after the first are numbers."""
    head, *lines = [[_markdown(cell) for cell in line] for line in cells]
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, rule, *lines])


def run_label(name: str, color: str) -> str:
    """A row's name with the dot of its colour."""
    dot = f'<span class="swatch round" style="background:{color}"></span>'
    return f'<span class="label">{dot}<span>{breakable(name)}</span></span>'


def _gain_cell(first: float | None, last: float | None) -> str:
    if first is None or last is None:
        return '<td class="number">–</td>'
    difference = Difference((last - first,))
    return f'<td class="number {_direction(difference)}">{difference}</td>'


def _direction(difference: Difference) -> str:
    rounded = round(difference.mean, 3)
    return "up" if rounded > 0 else "down" if rounded < 0 else ""


def _with_spread(text: str) -> str:
    value, plus_minus, spread = escape(text).partition(" ± ")
    return f'{value}<span class="spread"> ± {spread}</span>' if plus_minus else value


def _unit(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.1f} {unit}"


def _markdown(text: str) -> str:
    for sign in "\\|<>`*_":
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split())
