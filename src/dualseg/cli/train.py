"""`dualseg train`"""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.console import TrainingProgress, percent, print_json, say
from dualseg.cli.many import one_voice
from dualseg.cli.options import AllowMissing, Data, Deterministic, Json, Set

EXAMPLE = "Example: dualseg train camvid_dsrl --data CamVid --set seed=1 --out runs/camvid"


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="[RECIPE.yaml]", help="A file, or a packaged recipe's name."),
    ] = None,
    data: Data = None,
    set_: Set = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="RUN", help="A new or empty folder for the run.")
    ] = Path("runs/latest"),
    allow_missing: AllowMissing = False,
    deterministic: Deterministic = False,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Write where a few steps' time goes to RUN/profile."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check everything, time a few steps, write nothing."),
    ] = False,
    find_lr: Annotated[
        bool,
        typer.Option("--find-lr", help="Try rising rates; write only the plot, RUN_lr.svg."),
    ] = False,
    find_batch_size: Annotated[
        bool,
        typer.Option("--find-batch-size", help="Try growing batches until memory ends."),
    ] = False,
    json: Json = False,
) -> None:
    """Train a network. A folder of images and masks is enough; a recipe says everything else."""
    from dualseg.cli.recipes import read_recipe
    from dualseg.cli.rehearsals import rehearse
    from dualseg.cli.run_report import finish_run
    from dualseg.training.trainer import train as train_network

    overrides = [*(set_ or ()), *(["runtime.deterministic=true"] if deterministic else [])]
    overrides += ["data.allow_missing=true"] if allow_missing else []
    with one_voice() as processes:
        report = say if processes.is_first else lambda text: None
        settings = read_recipe(recipe, data, overrides, report=report)
        if dry_run or find_lr or find_batch_size:
            rehearse(
                settings,
                out,
                processes,
                find_lr=find_lr,
                find_batch_size=find_batch_size,
                as_json=json,
            )
            return
        with TrainingProgress() as progress:
            result = train_network(
                settings, out, progress=progress, processes=processes, profile=profile
            )
        if processes.is_first:
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
