"""Scores by class as HTML tables."""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from dualseg.visual.bar_tables import BarSeries, Column, bar_table
from dualseg.visual.numbers import percent_text, score_text
from dualseg.visual.page import breakable, scroll, swatch
from dualseg.visual.pictures import embed_alpha
from dualseg.visual.run_files import StoredEvaluation

MAX_NUMBERED_CLASSES = 20
NUM_MISTAKES = 8
INK_TURNS = {"deep": 83, "middle": 57}
"""Percent of the accent above which black or white reads better than the other on a cell: in the
light theme from "deep" on, in the dark one from "middle" on."""

Series = tuple[str, str]
"""Name and CSS colour of a run."""


def class_table(evaluations: Sequence[StoredEvaluation], series: Sequence[Series]) -> str:
    """One row a class: name, share of the labelled pixels, and for each run its IoU as a bar and as
    a number; of a single run also the boundary IoU where it was asked for.

    Args:
        evaluations: On the same classes. The pixels are those of the first.
        series: Name and colour of each run.
    """
    first = evaluations[0]
    total = sum(first.pixels_per_class)
    columns = [Column("Pixels", [_share(pixels, total) for pixels in first.pixels_per_class])]
    others = []
    boundary = (first.extra.boundaries or {}).get("boundary_iou")
    if boundary and len(evaluations) == 1:
        texts = [score_text(boundary.per_class.get(name)) for name in first.labels.class_names]
        others.append(Column("Boundary IoU", texts))
    return bar_table(
        "Class",
        [class_label(*pair) for pair in _named_colors(first)],
        "IoU",
        [
            BarSeries(name, color, evaluation.iou_per_class)
            for (name, color), evaluation in zip(series, evaluations, strict=True)
        ],
        before=columns,
        after=others,
    )


def confusion_table(evaluation: StoredEvaluation) -> str:
    """Row-normalised confusion: a table of percentages for few classes, a picture for many."""
    shares = row_shares(evaluation.confusion)
    if len(shares) > MAX_NUMBERED_CLASSES:
        source = embed_alpha(np.nan_to_num(shares))
        name = "Confusion matrix: rows truth, columns predictions"
        return f'<img class="heat" src="{source}" alt="{name}">'
    names = [escape(name) for name in evaluation.labels.class_names]
    head = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(_cell(share) for share in row)}</tr>'
        for name, row in zip(names, shares, strict=True)
    )
    table = (
        f'<table class="confusion"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
    return scroll(table, "Confusion matrix: rows truth, columns predictions, percent")


def mistake_table(evaluation: StoredEvaluation) -> str:
    """The pairs that cost most pixels, with the share of the true class that is lost."""
    names = evaluation.labels.class_names
    rows = "".join(
        f"<tr><td>{escape(names[true])} <span class='muted'>taken for</span> "
        f"{escape(names[claimed])}</td>"
        f'<td class="number">{percent_text(share)}</td></tr>'
        for true, claimed, share in worst_mistakes(evaluation.confusion)
    )
    if not rows:
        return "<p>None: every pixel is right.</p>"
    return (
        '<table><thead><tr><th scope="col">By number of pixels</th><th scope="col" '
        'class="number">of its pixels</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>"
    )


def worst_mistakes(
    confusion: NDArray[np.int64], count: int = NUM_MISTAKES
) -> list[tuple[int, int, float]]:
    """(true class, predicted class, share of the true class), most pixels first."""
    wrong = confusion * (1 - np.eye(len(confusion), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = [divmod(int(place), len(confusion)) for place in order]
    truth = confusion.sum(axis=1)
    return [(i, j, float(wrong[i, j] / truth[i])) for i, j in pairs if wrong[i, j] > 0]


def row_shares(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """(K, K): each row divided by its sum; NaN in the row of a class without pixels."""
    truth = confusion.sum(axis=1, keepdims=True)
    return np.divide(
        confusion, truth, out=np.full(confusion.shape, np.nan, dtype=np.float64), where=truth > 0
    )


def class_label(name: str, color: tuple[int, int, int]) -> str:
    """A class's name with its colour."""
    return f'<span class="label">{swatch(color)}<span>{breakable(name)}</span></span>'


def head_row(cells: Iterable[str]) -> str:
    """A table head; the first column holds names, the others numbers."""
    first, *others = (breakable(cell) for cell in cells)
    numbers = "".join(f'<th scope="col" class="number">{cell}</th>' for cell in others)
    return f'<thead><tr><th scope="col">{first}</th>{numbers}</tr></thead>'


def _share(pixels: int, total: int) -> str:
    if pixels == 0:
        return "0"
    share = pixels / total
    return "< 0.1 %" if share < 0.001 else percent_text(share)


def _named_colors(evaluation: StoredEvaluation) -> Iterable[tuple[str, tuple[int, int, int]]]:
    return zip(evaluation.labels.class_names, evaluation.labels.palette, strict=True)


def _cell(share: float) -> str:
    if np.isnan(share):
        return '<td class="muted">–</td>'
    strength = round(100 * share)
    place = next((f' class="{name}"' for name, above in INK_TURNS.items() if strength > above), "")
    text = strength if strength else ""
    color = f"color-mix(in srgb,var(--accent) {strength}%,var(--sunken))"
    return f'<td{place} style="background:{color}">{text}</td>'
