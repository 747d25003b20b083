"""What `dualseg train` does with --dry-run, --find-lr and --find-batch-size."""

import math
from dataclasses import asdict
from pathlib import Path

from dualseg.cli.console import TrainingProgress, print_json, print_table, say
from dualseg.config import Recipe
from dualseg.core.errors import InputError
from dualseg.core.files import write_text
from dualseg.core.processes import Processes
from dualseg.training.progress import Silent
from dualseg.training.rehearsal import LrCurve, find_batch_size, find_lr, rehearse_run
from dualseg.visual.plots import Line, line_chart, series_color

STYLE = (
    "<style>svg{background:#fff;--series-0:#2563eb}.grid{stroke:#d4d4d8}"
    "text{fill:#3f3f46;font:11px sans-serif}</style>"
)


def rehearse(
    recipe: Recipe,
    out: Path,
    processes: Processes,
    *,
    find_lr: bool,
    find_batch_size: bool,
    as_json: bool,
) -> None:
    """Runs the one rehearsal that was asked for and shows what came out."""
    if find_lr and find_batch_size:
        raise InputError("give --find-lr or --find-batch-size, not both at once")
    if (find_lr or find_batch_size) and processes.are_many:
        raise InputError(
            "--find-lr and --find-batch-size run in one process; start them without torchrun"
        )
    if find_lr:
        _show_lr(recipe, out, as_json=as_json)
    elif find_batch_size:
        _show_batch_size(recipe, out, as_json=as_json)
    else:
        _show_rehearsal(recipe, out, processes, as_json=as_json)


def _show_rehearsal(recipe: Recipe, out: Path, processes: Processes, *, as_json: bool) -> None:
    if not processes.is_first:
        rehearse_run(recipe, out, progress=Silent(), processes=processes)
        return
    with TrainingProgress() as progress:
        found = asdict(rehearse_run(recipe, out, progress=progress, processes=processes))
    if as_json:
        print_json(found)
        return
    rows = [[name.replace("_", " "), _shown(value)] for name, value in found.items()]
    print_table(f"{out} would be", ["", ""], rows)
    say("nothing was written; leave out --dry-run to train")


def _show_lr(recipe: Recipe, out: Path, *, as_json: bool) -> None:
    run = out if out.name else out.absolute()  # "." has no name
    plot = run.parent / f"{run.name}_lr.svg"
    with TrainingProgress() as progress:
        curve = find_lr(recipe, out, progress=progress)
    plot.parent.mkdir(parents=True, exist_ok=True)
    write_text(plot, _lr_plot(curve))
    if as_json:
        print_json({"lr": curve.suggestion, "plot": str(plot), "points": list(curve.points)})
        return
    say(
        f"the loss falls fastest at a rate of {curve.suggestion:.2g}: --set training.lr="
        f"{curve.suggestion:.2g}"
    )
    print(plot)


def _lr_plot(curve: LrCurve) -> str:
    """A picture that can be opened by itself; the chart starts at zero, the lowest power tried."""
    low = math.floor(math.log10(curve.points[0][0]))
    points = [(math.log10(lr) - low, loss) for lr, loss in curve.points]
    line = Line("smoothed loss", points, series_color(0), is_main=True)
    chart = line_chart(
        [line], title="loss at rising learning rates", x_label=f"learning rate, 10^({low} + x)"
    )
    opened = chart.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg" width="760"', 1)
    return opened.replace(">", f">{STYLE}", 1)


def _show_batch_size(recipe: Recipe, out: Path, *, as_json: bool) -> None:
    with TrainingProgress() as progress:
        found = find_batch_size(recipe, out, progress=progress)
    if as_json:
        print_json(asdict(found))
        return
    rows = [[str(size), f"{peak:.0f}"] for size, peak in found.tried]
    print_table(f"of {found.available_mib:.0f} MiB", ["batch size", "peak MiB"], rows)
    say(f"the largest batch that fits: --set training.batch_size={found.batch_size}")


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
