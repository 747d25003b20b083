"""How long what is missing will take: from finished runs, else from a few steps."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from camvid_study.ledger import Entry
from camvid_study.plan import Run
from dualseg.checkpoints.json_files import read_json
from dualseg.config import Recipe
from dualseg.core.files import write_json
from dualseg.training.progress import Silent
from dualseg.training.rehearsal import rehearse_run

PACE_FILE = "pace.json"
MORE = 1.15  # times the steps alone: validations, checkpoints, the last evaluation


def estimate_hours(
    runs: Sequence[Run],
    entries: Mapping[str, Entry],
    *,
    out: Path,
    hours_of: Callable[[Run], float],
) -> float:
    """Hours of the runs that are not finished, as if each began anew.

    A row that has finished with some seed takes that long with another. The rest is asked of
    `hours_of` once, and remembered in `OUT/pace.json`.

    Args:
        runs: The grid.
        entries: The ledger's.
        out: The study's folder.
        hours_of: Measures one run.
    """
    path = out / PACE_FILE
    known: dict[str, float] = dict(read_json(path)) if path.is_file() else {}
    total = 0.0
    for run in runs:
        entry = entries.get(run.folder.relative_to(out).as_posix())
        if entry is not None and entry.finished:
            continue
        row = run.folder.parent.relative_to(out).as_posix()
        finished = _finished_hours(row, entries)
        if finished is None and row not in known:
            known[row] = hours_of(run)
            write_json(path, known)
        total += known[row] if finished is None else finished
    return total


def rehearsed_hours(run: Run, recipe: Recipe) -> float:
    """From a few steps; no file is written.

    A teacher that is not trained yet is left out, and so is a beginning: the step without the
    teacher is a little shorter.
    """
    settings = {
        "distillation": type(recipe.distillation)(),
        "training": recipe.training.model_copy(update={"init_weights": None}),
    }
    alone = recipe.model_copy(update=settings)
    nowhere = run.folder.parent / "rehearsal"
    return MORE * rehearse_run(alone, nowhere, progress=Silent()).hours


def _finished_hours(row: str, entries: Mapping[str, Entry]) -> float | None:
    seconds = [
        entry.seconds
        for entry in entries.values()
        if entry.finished and entry.seconds is not None and entry.run.rpartition("/")[0] == row
    ]
    return median(seconds) / 3600 if seconds else None
