"""Trains what is missing of a grid, until it is done or the time is up."""

import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from camvid_study.ledger import LEDGER_FILE, Ledger, Session
from camvid_study.plan import MODEL_FILE, Run
from dualseg.checkpoints.model_files import FACTS_FILE, load_unpruned, save_model
from dualseg.cli.console import TrainingProgress
from dualseg.config import Recipe
from dualseg.core.errors import InputError
from dualseg.training.interruption import Interrupted
from dualseg.training.records.run_folder import CONFIG_FILE
from dualseg.training.trainer import resume, train


class Clock:
    """How much time is left.

    Args:
        seconds: From now; None for no end.
        now: Seconds from some moment on.
    """

    def __init__(self, seconds: float | None, now: Callable[[], float] = time.monotonic):
        self.now = now
        self.end = None if seconds is None else now() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.end is not None and self.now() >= self.end


class Watch(TrainingProgress):
    """Shows a run, and stops it when the time is up, as a person would: with a signal.

    The trainer then ends its step, saves and raises `Interrupted`.

    Args:
        label: Of the run.
        clock: Whose end counts.
    """

    def __init__(self, label: str, clock: Clock):
        super().__init__(label)
        self.clock = clock
        self.has_stopped = False

    def stepped(self, step: int, max_steps: int, losses: Mapping[str, float], lr: float) -> None:
        super().stepped(step, max_steps, losses, lr)
        if self.clock.is_over and step < max_steps and not self.has_stopped:
            self.has_stopped = True
            signal.raise_signal(signal.SIGTERM)


@dataclass(frozen=True)
class Outcome:
    """How a session at the grid ended.

    Args:
        finished: Runs that it finished.
        missing: Runs that are not finished yet.
    """

    finished: int
    missing: int


def run_grid(
    runs: Sequence[Run],
    *,
    ledger: Ledger,
    recipe_of: Callable[[Run], Recipe],
    session: Callable[[], Session],
    clock: Clock,
    train_one: Callable[[Run, Recipe, Clock], None],
    finish: Callable[[Run], object],
    say: Callable[[str], object],
) -> Outcome:
    """Goes through the grid in order; what is finished is kept, what was stopped goes on exactly.

    Args:
        runs: From `plan_runs`.
        ledger: Told of every beginning and end.
        recipe_of: What a run is trained with.
        session: What the ledger notes of this one.
        clock: No run begins after its end, and the one at work stops there.
        train_one: Trains a run to its end, or raises `Interrupted`.
        finish: Scores a trained run and tidies it up.
        say: Told what begins.

    Raises:
        InputError: A run was begun with another recipe, or needs the network of a finished run
            that is not here; nothing is trained then.
        Interrupted: A person stopped it; what was done is saved.
    """
    missing = [run for run in runs if not ledger.is_finished(run)]
    _require_networks(missing)
    for run in runs:
        ledger.require_same(run, recipe_of(run))
    for number, run in enumerate(missing):
        if clock.is_over:
            return Outcome(number, len(missing) - number)
        if ledger.is_finished(run):  # by another process meanwhile
            continue
        say(f"[{len(runs) - len(missing) + number + 1}/{len(runs)}] {run.label}")
        recipe = recipe_of(run)
        start = time.monotonic()
        ledger.begin(run, recipe, session())
        try:
            train_one(run, recipe, clock)
            finish(run)
        except Interrupted:
            ledger.end(run, seconds=time.monotonic() - start, finished=False)
            if not clock.is_over:
                raise
            return Outcome(number, len(missing) - number)
        ledger.end(run, seconds=time.monotonic() - start, finished=True)
    return Outcome(len(missing), 0)


def _require_networks(missing: Sequence[Run]) -> None:
    """Teachers and beginnings are there, or are still to be trained."""
    to_come = {run.folder for run in missing}
    for run in missing:
        for folder in map(run.sibling, run.row.needs):
            if folder not in to_come and not is_kept(folder):
                raise InputError(
                    f"{run.label} needs {folder / MODEL_FILE}, whose row is finished and whose "
                    f"network is not here; remove its line from {LEDGER_FILE} to train it again"
                )


def train_or_resume(run: Run, recipe: Recipe, clock: Clock) -> None:
    """With the package's own trainer; a run that was trained and not yet scored is left alone."""
    if is_kept(run.folder):
        return
    with Watch(run.label, clock) as progress:
        if (run.folder / CONFIG_FILE).exists():
            moved = [f"data.root='{recipe.data.root}'"]
            if recipe.distillation.teacher is not None:
                moved.append(f"distillation.teacher='{recipe.distillation.teacher}'")
            resume(run.folder, overrides=moved, progress=progress)
        else:
            run.folder.parent.mkdir(parents=True, exist_ok=True)
            train(recipe, run.folder, progress=progress)


def keep_model(folder: Path) -> Path:
    """The network of a finished run's last checkpoint, as it predicts (with its moving average).

    What a run needs only to go on, some hundred MiB, is for `drop_checkpoints`.
    """
    if not is_kept(folder):
        model, facts = load_unpruned(folder / "checkpoints" / "last")
        save_model(folder, model, facts)
    return folder / MODEL_FILE


def is_kept(folder: Path) -> bool:
    """Whether `keep_model` has come to its end there; the facts are written last."""
    return (folder / FACTS_FILE).exists()


def drop_checkpoints(folder: Path) -> None:
    """Of a run whose network is kept and scored."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
