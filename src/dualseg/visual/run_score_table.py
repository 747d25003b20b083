"""The table of a comparison of runs: scores, intervals, differences, size and speed."""

from collections.abc import Callable, Sequence
from html import escape

from dualseg.visual.class_tables import head_row
from dualseg.visual.compared_runs import ComparedRun
from dualseg.visual.comparison_tables import run_label
from dualseg.visual.numbers import score_text
from dualseg.visual.page import scroll
from dualseg.visual.paired import PairedDifference, paired_difference_over_images

Cell = Callable[[ComparedRun], str]


def run_score_table(runs: Sequence[ComparedRun]) -> str:
    """One row a run; a column that no run has anything for is left out."""
    first = runs[0]
    differences = {
        run.name: paired_difference_over_images(run.evaluation, first.evaluation)
        for run in runs[1:]
    }
    columns: dict[str, Cell] = {
        "mIoU": lambda run: score_text(run.evaluation.scores["miou"]),
        "95 % interval": lambda run: str(run.evaluation.extra.interval or ""),
        f"against {first.name}": lambda run: _difference_text(differences.get(run.name)),
        "pixel accuracy": lambda run: score_text(run.evaluation.scores["pixel_accuracy"]),
        "class accuracy": lambda run: score_text(run.evaluation.scores["class_accuracy"]),
        "boundary IoU": _boundary_iou,
        "latency": _latency,
        "parameters": lambda run: f"{run.evaluation.parameters / 1e6:.2f} M",
        "checkpoint": _checkpoint,
    }
    shown = {name: [cell(run) for run in runs] for name, cell in columns.items()}
    shown = {name: texts for name, texts in shown.items() if any(texts)}
    highest = max(run.evaluation.scores["miou"] for run in runs)
    body = ""
    for number, run in enumerate(runs):
        best = " best" if run.evaluation.scores["miou"] == highest else ""
        cells = "".join(
            f'<td class="number{_kind(name, best, differences.get(run.name))}">'
            f"{escape(texts[number])}</td>"
            for name, texts in shown.items()
        )
        body += f'<tr><th scope="row">{run_label(run.name, run.color)}</th>{cells}</tr>'
    return scroll(f"<table>{head_row(['Run', *shown])}<tbody>{body}</tbody></table>", "Scores")


def _difference_text(difference: PairedDifference | None) -> str:
    if difference is None:
        return ""
    measure = "" if difference.measure == "mIoU" else f", {difference.measure}"
    return f"{difference}{measure}"


def _boundary_iou(run: ComparedRun) -> str:
    score = (run.evaluation.extra.boundaries or {}).get("boundary_iou")
    return score_text(score.mean) if score else ""


def _latency(run: ComparedRun) -> str:
    if run.latency_ms is None or run.latency_size is None:
        return ""
    height, width = run.latency_size
    return f"{run.latency_ms:.1f} ms at {height}x{width}"


def _checkpoint(run: ComparedRun) -> str:
    name, step = run.evaluation.checkpoint, run.evaluation.step
    return "" if name is None else name + (f", step {step:,}" if step is not None else "")


def _kind(column: str, best: str, difference: PairedDifference | None) -> str:
    """The class of a cell: green or red only for a difference whose interval leaves 0 out."""
    if column == "mIoU":
        return best
    if column.startswith("against ") and difference is not None and difference.is_clear:
        return " up" if difference.value > 0 else " down"
    return ""
