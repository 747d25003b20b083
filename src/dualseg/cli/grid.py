"""Trains a grid of runs and compares them: what `ablate` and `quickstart` share."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import stdev
from typing import Any

from dualseg.checkpoints.model_files import find_model, load_model, read_facts
from dualseg.cli.console import TrainingProgress, percent, print_table, say
from dualseg.cli.recipes import open_evaluation_data
from dualseg.cli.run_report import finish_run
from dualseg.core.errors import InputError
from dualseg.core.files import write_json
from dualseg.core.geometry import Size
from dualseg.evaluation.latency import count_parameters, measure_latency
from dualseg.training.ablation import VARIANTS, AblationRun, run_ablation
from dualseg.training.pace import seconds_per_epoch
from dualseg.training.trainer import is_finished, resume, train
from dualseg.visual.comparison import write_comparison
from dualseg.visual.comparison_rows import ComparisonRow, paired_difference
from dualseg.visual.run_files import EVALUATION_FILE, EVALUATION_FOLDER

RESULTS = ("ablation.json", "table.md", "report.html")


def require_place(out: Path, *, folder: str | None = None) -> None:
    """Refuses a folder where something stands in the way of the results, before hours of training.

    Args:
        out: Where the grid goes.
        folder: Name of a folder that is written beside the files.

    Raises:
        InputError: `out` is a file, a result's name is taken by another kind of thing, or by
            something that no grid here can have written, since none was begun.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; name a folder")
    is_begun = any(out.glob("*/seed_*"))
    for name in (*RESULTS, *([folder] if folder else [])):
        place = out / name
        if not os.path.lexists(place) or (name == folder and _is_empty_folder(place)):
            continue
        if place.is_dir() != (name == folder):
            kind = "folder" if name == folder else "file"
            raise InputError(
                f"{place} is in the way of the {kind} of that name; move it, or "
                "choose another --out"
            )
        if not is_begun:
            raise InputError(
                f"{place} would be replaced, and {out} holds no training that it could be of; move "
                "it, or choose another --out"
            )


def _is_empty_folder(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())


def train_grid(plan: Sequence[AblationRun], watch: Callable[[str], TrainingProgress]) -> None:
    """Trains what is missing, and evaluates each run's last checkpoint once.

    Args:
        plan: The grid.
        watch: Label -> who shows that run.
    """

    def label(run: AblationRun) -> str:
        return f"{run.variant}, seed {run.seed}"

    by_folder = {run.folder: run for run in plan}

    def start(recipe: Any, folder: Path) -> None:
        with watch(label(by_folder[folder])) as progress:
            train(recipe, folder, progress=progress)

    def go_on(folder: Path) -> None:
        with watch(label(by_folder[folder])) as progress:
            resume(folder, progress=progress)

    run_ablation(
        plan,
        train=start,
        resume=go_on,
        is_finished=_is_done,
        announce=lambda run, number: say(f"[{number}/{len(plan)}] {label(run)}"),
        finish=lambda run: finish_run(run.folder, checkpoint="last"),
    )


def write_grid(plan: Sequence[AblationRun], out: Path, *, title: str) -> dict[str, Any]:
    """Writes `OUT/ablation.json`, `OUT/table.md` and `OUT/report.html`.

    Returns:
        {"rows": [...], "latency_size": [height, width], "report": path}; a row is name, miou (mean
        over seeds), miou_per_seed, spread, latency_ms, seconds_per_epoch, parameters,
        iou_per_class. Latency is that of the first validation image's size, whole.
    """
    variants = list(dict.fromkeys(run.variant for run in plan))  # baselines first
    size = _image_size(plan[0].folder)
    rows = [_row(name, [run for run in plan if run.variant == name], size) for name in variants]
    report = write_comparison(
        out, rows, title=title, num_baselines=_num_baselines(variants), latency_size=size
    )
    table = {
        "rows": [_plain(row, rows[0]) for row in rows],
        "latency_size": list(size),
        "report": str(report),
    }
    write_json(out / "ablation.json", table)
    return table


def print_rows(table: dict[str, Any]) -> None:
    """The rows as a table on stdout."""
    cells = []
    for row in table["rows"]:
        difference = row["difference"]
        pace = row["seconds_per_epoch"]
        cells.append(
            [
                row["name"],
                percent(row["miou"]),
                "-" if row["spread"] is None else f"{100 * row['spread']:.1f}",
                "-" if difference is None else f"{100 * difference:+.1f}",
                f"{row['latency_ms']:.1f}",
                "-" if pace is None else f"{pace:.1f}",
            ]
        )
    height, width = table["latency_size"]
    latency = f"ms an image of {height}x{width}"
    header = ["network", "val mIoU", "spread", "against the first", latency, "s an epoch"]
    print_table("Whole images at native resolution", header, cells)


def _is_done(folder: Path) -> bool:
    """Trained to its last step, and its last checkpoint evaluated (not its best one)."""
    if not (folder / EVALUATION_FOLDER / EVALUATION_FILE).exists() or not is_finished(folder):
        return False
    return _read_evaluation(folder).get("checkpoint") == "last"


def _image_size(run_folder: Path) -> Size:
    """Of the first image that the runs are scored on, which is what a network is used on."""
    labels = read_facts(find_model(run_folder)[1]).labels
    dataset = open_evaluation_data(str(run_folder), None, None, labels)
    height, width = dataset.image(0).shape[:2]
    return height, width


def _row(name: str, runs: Sequence[AblationRun], size: Size) -> ComparisonRow:
    evaluations = [_read_evaluation(run.folder) for run in runs]
    model = load_model(runs[0].folder / "checkpoints" / "last")
    return ComparisonRow(
        name=name,
        runs=tuple(run.folder for run in runs),
        miou=tuple(evaluation["miou"] for evaluation in evaluations),
        iou_per_class=tuple(tuple(e["iou_per_class"].values()) for e in evaluations),
        latency_ms=measure_latency(model, size),
        seconds_per_epoch=seconds_per_epoch(runs[0].folder),
        parameters=count_parameters(model),
    )


def _read_evaluation(folder: Path) -> dict[str, Any]:
    return json.loads((folder / EVALUATION_FOLDER / EVALUATION_FILE).read_text(encoding="utf-8"))


def _num_baselines(variants: Sequence[str]) -> int:
    """Leading variants without any of DSRL."""
    plain = [name for name in variants if not VARIANTS[name]["dsrl"]["enabled"]]
    return max(1, len(plain))


def _plain(row: ComparisonRow, baseline: ComparisonRow) -> dict[str, Any]:
    difference = None if row is baseline else paired_difference(row, baseline).mean
    return {
        "name": row.name,
        "miou": row.mean_miou,
        "miou_per_seed": list(row.miou),
        "spread": stdev(row.miou) if len(row.miou) > 1 else None,
        "difference": difference,
        "latency_ms": row.latency_ms,
        "seconds_per_epoch": row.seconds_per_epoch,
        "parameters": row.parameters,
        "iou_per_class": [list(classes) for classes in row.iou_per_class],
        "runs": [str(run) for run in row.runs],
    }
