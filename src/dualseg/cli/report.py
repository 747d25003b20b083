"""`dualseg report`"""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.console import print_json, say, steps
from dualseg.cli.options import Device, Json, require_file_name
from dualseg.core.errors import InputError

EXAMPLE = (
    "Example: dualseg report runs/camvid   or: dualseg report runs/a runs/b --out compare.html"
)


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PAGE.html", help="The page that compares several runs."),
    ] = None,
    kept_only: Annotated[
        bool,
        typer.Option("--kept-only", help="Load no network: show only pictures the runs keep."),
    ] = False,
    latency: Annotated[
        bool, typer.Option("--latency", help="Measure the runs' latency on this machine.")
    ] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Rebuild report.html of a run from its folder, or compare several runs on one page."""
    from dualseg.training.records.run_folder import require_run

    for run in runs:
        require_run(run)
    if len(runs) == 1:
        _one(runs[0], out, with_options=kept_only or latency or device != "auto", json=json)
    else:
        _several(runs, out, kept_only=kept_only, latency=latency, device=device, json=json)


def _one(run: Path, out: Path | None, *, with_options: bool, json: bool) -> None:
    from dualseg.visual.report import write_report

    if out is not None or with_options:
        raise InputError(
            "--out, --kept-only, --latency and --device are for comparing; give a second run, or "
            "leave them out to rebuild report.html in the run's folder"
        )
    with steps() as progress:
        progress(f"writing the report of {run}", 0, None)
        path = write_report(run)
    if json:
        print_json({"run": str(run), "report": str(path)})
    else:
        print(path)


def _several(
    runs: list[Path],
    out: Path | None,
    *,
    kept_only: bool,
    latency: bool,
    device: str,
    json: bool,
) -> None:
    from dualseg.cli.compare_runs import compare_runs
    from dualseg.training.environment import choose_device

    if out is None:
        raise InputError(
            "several runs are compared on a page of its own; say where: --out PAGE.html"
        )
    _require_place(out)
    if not kept_only:
        _require_checkpoints(runs if latency else [runs[0], runs[-1]])
    result = compare_runs(
        runs, out, kept_only=kept_only, latency=latency, device=choose_device(device)
    )
    if json:
        print_json(result)
    else:
        for text in result["notes"]:
            say(f"note: {text}")
        print(result["report"])


def _require_place(page: Path) -> None:
    """Before minutes of prediction, not after them."""
    if page.is_dir():
        raise InputError(
            f"--out {page} is a folder; give the name of a page, such as {page / 'c.html'}"
        )
    require_file_name("--out", page, ".html", ".htm", kind="the page is HTML")


def _require_checkpoints(runs: list[Path]) -> None:
    from dualseg.visual.run_files import read_evaluation

    for run in runs:
        evaluation = read_evaluation(run)
        if evaluation is None:
            continue  # said in the comparison's own words
        checkpoint = run / "checkpoints" / (evaluation.checkpoint or "best")
        if not checkpoint.is_dir():
            raise InputError(
                f"{run} no longer has its checkpoint {checkpoint.name}, so its images cannot be "
                "predicted anew; --kept-only compares by what the runs keep"
            )
