"""`dualseg train`"""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.console import TrainingProgress, percent, print_json, say
from dualseg.cli.options import Data, Json, Set

EXAMPLE = "Example: dualseg train camvid_dsrl --data CamVid --set seed=1 --out runs/camvid"


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="[RECIPE.yaml]", help="A file, or a packaged recipe's name."),
    ] = None,
    data: Data = None,
    set_: Set = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="RUN", help="A new folder for the run.")
    ] = Path("runs/latest"),
    json: Json = False,
) -> None:
    """Train a network. A folder of images and masks is enough; a recipe says everything else."""
    from dualseg.cli.recipes import read_recipe
    from dualseg.cli.run_report import finish_run
    from dualseg.training.trainer import train as train_network

    settings = read_recipe(recipe, data, set_)
    with TrainingProgress() as progress:
        result = train_network(settings, out, progress=progress)
    report = finish_run(out)
    show_result(out, result.step, result.best_miou, report, as_json=json)


def show_result(
    run: Path, step: int, best_miou: float | None, report: Path, *, as_json: bool
) -> None:
    """How a run ended, for `train` and `resume`."""
    if as_json:
        print_json({"run": str(run), "step": step, "best_miou": best_miou, "report": str(report)})
        return
    say(f"{step} steps done; best val mIoU {percent(best_miou)}")
    print(report)
