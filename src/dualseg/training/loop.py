"""The training loop: step, log, evaluate, save, in an order that no kill can spoil."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from dualseg.checkpoints.store import CheckpointStore
from dualseg.checkpoints.training_state import Position, TrainingState
from dualseg.core.facts import ModelFacts
from dualseg.core.files import DiskFullError
from dualseg.core.processes import ALONE, Processes
from dualseg.data.loading.loaders import BatchSource, RawBatch
from dualseg.training.early_stopping import EarlyStopping
from dualseg.training.interruption import Interrupted, StopRequest
from dualseg.training.optimization.ema import WeightAverage
from dualseg.training.plan import Plan
from dualseg.training.profiling import StepProfiler
from dualseg.training.progress import Progress
from dualseg.training.records.history import History
from dualseg.training.records.trackers.trackers import Trackers
from dualseg.training.step import NonFiniteLossError, StepResult, TrainingStep

Evaluate = Callable[[nn.Module, Callable[[int, int], None]], dict[str, Any]]

MOST_FAILED_SAVES = 3  # in a row


class StopEvaluation(Exception):  # noqa: N818
    """A signal came while validating; the validation is done again on resume."""


@dataclass
class TrainingLoop:
    """The parts of a run, ready to go on from `position`.

    What is on the disk always tells of a moment between two steps: history lines first, then the
    checkpoint that counts on them. Lines beyond the newest checkpoint are forgotten on resume and
    written again.

    Args:
        plan: When to do what.
        position: Where the run stands; kept up to date.
        model: Network to train.
        average: Its moving average, if there is one; evaluated and shown instead of the network.
        take_step: One optimiser step.
        loader: Training batches.
        evaluate: Scores a network on the validation split, as `evaluate --json` shows them.
        facts: What is known about the network, without its score.
        describe: Position -> the state to save.
        store: Checkpoints.
        history: Measurements.
        trackers: The same for TensorBoard and others.
        progress: Who watches.
        processes: Who trains this network together; the first one writes the files.
        draw: Shows a validated network to the trackers, beside its numbers: network, step.
        stopping: Ends the run early.
        max_skipped: Steps that may be skipped because something was not finite.
        skipped: Steps that were.
        profiler: Told of each step that is done.
        unsaved: The position differs from the newest checkpoint's.
    """

    plan: Plan
    position: Position
    model: nn.Module
    average: WeightAverage | None
    take_step: TrainingStep
    loader: BatchSource
    evaluate: Evaluate
    facts: ModelFacts
    describe: Callable[[Position], TrainingState]
    store: CheckpointStore
    history: History
    trackers: Trackers
    progress: Progress
    processes: Processes = ALONE
    draw: Callable[[nn.Module, int], None] = lambda network, step: None
    stopping: EarlyStopping = field(default_factory=EarlyStopping)
    max_skipped: int = 0
    skipped: int = 0
    profiler: StepProfiler | None = None
    unsaved: bool = True
    _stop: StopRequest = field(default_factory=StopRequest)
    _saved_step: int = 0
    _saved_best: tuple[int | None, float | None] = (None, None)  # step and mIoU
    _failed_saves: list[DiskFullError] = field(default_factory=list)
    _history_is_behind: bool = False  # the disk has not taken the history's last line
    _pace: "_Pace" = field(default_factory=lambda: _Pace())

    def run(self, stop: StopRequest) -> None:
        """Trains to the end of the plan, or until `stop` is set.

        A signal after the last validation cuts nothing short; `stop` tells the caller of it.

        Raises:
            Interrupted: A signal came; the newest checkpoint holds the step it names.
            NonFiniteLossError, DiskFullError: The newest checkpoint is intact.
        """
        self._stop = stop
        self._note_saved()
        self.progress.started(self.position.step, self.plan.max_steps)
        self.model.train()
        batches = self.loader.batches(self.position.step)
        try:
            self._train(batches, stop)
        except RuntimeError as error:
            # A loader's worker that the same signal ended makes torch raise at any place, also in
            # the middle of a step: what is in memory then is not saved.
            if stop.signum is None:
                raise
            raise Interrupted(stop.signum, self._saved_step) from error
        finally:
            close = getattr(batches, "close", None)
            if close is not None:
                close()
            self.trackers.close()
            if self.profiler is not None:
                self.profiler.close()

    def _train(self, batches: Iterator[RawBatch], stop: StopRequest) -> None:
        while True:
            improved = self._evaluate_if_due()
            step = self.position.step
            signum, save_asked = self.processes.largest(stop.signum or 0, stop.save_asked)
            is_last = not self._evaluation_is_due() and (
                step >= self.plan.max_steps or self.stopping.is_over
            )
            due = improved or self.plan.saves_after(step) or bool(signum) or bool(save_asked)
            if self.unsaved and (due or is_last):
                self._save(is_last_chance=is_last or bool(signum))
            stop.save_asked = stop.save_asked and not save_asked
            if is_last:
                return
            if signum:
                raise Interrupted(signum, step)
            batch = self._next(batches)
            if self.processes.largest(int(batch is None)) == [0] and batch is not None:
                self._step(batch)

    def _next(self, batches: Iterator[RawBatch]) -> RawBatch | None:
        """The next batch; None where a signal meant for us ended the loader's workers."""
        try:
            return next(batches)
        except RuntimeError:
            if self._stop:
                return None
            raise

    def _step(self, batch: RawBatch) -> None:
        result = self.take_step(batch, self.position.step)
        if result.skipped is not None:
            self._count_skipped(result.skipped)
        elif self.average is not None:
            self.average.update(self.model, self.position.step)
        self.position.step += 1
        self.unsaved = True
        self._pace.count(len(batch.names) * self.processes.world)
        self._log(result)
        self.progress.stepped(self.position.step, self.plan.max_steps, result.losses, result.lr)
        if self.profiler is not None:
            self.profiler(self.position.step)

    def _count_skipped(self, reason: str) -> None:
        self.skipped += 1
        if self.skipped > self.max_skipped:
            raise NonFiniteLossError(
                f"{self.skipped} steps of this run were not finite, and "
                f"training.max_skipped_steps is {self.max_skipped}. The last: {reason}"
            )
        self.progress.message(f"warning: {reason}")

    def _log(self, result: StepResult) -> None:
        """Adds to the running means and writes them out when a line is due."""
        position, step = self.position, self.position.step
        sums = position.summed_losses
        if result.skipped is None:
            position.summed_steps += 1
            for name, value in result.losses.items():
                sums[name] = sums.get(name, 0.0) + value
        if not self.plan.logs_after(step) or position.summed_steps == 0:
            return
        means = {name: value / position.summed_steps for name, value in sums.items()}
        rate = {"images_per_second": self._pace.images_per_second()}
        self._record("train", {**means, "lr": result.lr, **rate})
        position.summed_steps, position.summed_losses = 0, {}

    def _evaluation_is_due(self) -> bool:
        step = self.position.step
        return self.plan.evaluates_after(step) and self.position.evaluated_step != step

    def _evaluate_if_due(self) -> bool:
        """Scores the network where the plan says so; True for a new best score."""
        if not self._evaluation_is_due():
            return False
        network = self.model if self.average is None else self.average.model
        try:
            with self._pace.paused():
                evaluation = self.evaluate(network, self._watch_evaluation)
        except StopEvaluation:
            return False
        position = self.position
        improved = _is_better(evaluation.get("miou"), position.best_miou)
        if improved:
            position.best_step, position.best_miou = position.step, evaluation["miou"]
        self.stopping.heard(evaluation.get("miou"))
        if self.stopping.is_over and position.step < self.plan.max_steps:
            position.max_steps = position.step
            self.progress.message(
                f"stopping after step {position.step}: the score has not risen for "
                f"{self.stopping.waited} validations (training.patience)"
            )
        position.evaluated_step, position.evaluation = position.step, evaluation
        self.unsaved = True
        scores = {name: value for name, value in evaluation.items() if isinstance(value, float)}
        self._record("val", scores)
        if self.processes.is_first and self.trackers.are_watching:
            with self._pace.paused():
                self.draw(network, position.step)
        self.progress.evaluated(position.step, scores, improved)
        return improved

    def _watch_evaluation(self, done: int, total: int) -> None:
        self.progress.evaluating(done, total)
        if self._stop:
            raise StopEvaluation

    def _record(self, split: str, numbers: Mapping[str, Any]) -> None:
        if not self.processes.is_first:
            return
        step = self.position.step
        entry = {"step": step, "epoch": self.plan.epoch(step), "split": split, **numbers}
        try:
            self.history.append(entry)
            self._history_is_behind = False
        except DiskFullError as error:
            if not self._history_is_behind:
                self.progress.message(f"warning: {error}. The run goes on; the line is kept")
            self._history_is_behind = True
        self.trackers.entry(entry)

    def _save(self, *, is_last_chance: bool) -> None:
        """Writes a checkpoint; where the disk is full the run goes on, and the next save is tried.

        Raises:
            DiskFullError: In the first process, when no save will follow or several have failed.
        """
        if self.processes.is_first:
            try:
                self._write()
            except DiskFullError as error:
                self._failed_saves.append(error)
                if is_last_chance or len(self._failed_saves) >= MOST_FAILED_SAVES:
                    first = self._failed_saves[0]
                    raise DiskFullError(f"{first}. {self._what_is_saved()}") from error
                # No later checkpoint holds a best network that could not be saved.
                self.position.best_step, self.position.best_miou = self._saved_best
                self.progress.message(f"warning: {error}. The run goes on; the next save is tried")
                return
            self._failed_saves.clear()
        self.unsaved = False
        self._note_saved()

    def _what_is_saved(self) -> str:
        run_folder, steps = self.store.folder.parent, self.store.steps()
        if not steps:
            return f"No step is saved yet; dualseg resume {run_folder} begins anew"
        return f"Step {steps[-1]} is saved; dualseg resume {run_folder} goes on from there"

    def _note_saved(self) -> None:
        self._saved_step = self.position.step
        self._saved_best = self.position.best_step, self.position.best_miou

    def _write(self) -> None:
        self.history.flush()
        weights: Mapping[str, Tensor] = (self.average or self.model).state_dict()
        facts = self.facts
        if self.position.evaluation and self.position.evaluated_step == self.position.step:
            evaluation = self.position.evaluation
            facts = replace(facts, score=evaluation["miou"], protocol=evaluation["protocol"])
        with self._pace.paused():
            self.store.save(weights, facts, self.describe(self.position))


def _is_better(miou: float | None, best: float | None) -> bool:
    return miou is not None and (best is None or miou > best)


class _Pace:
    """Images a second since the last question, time spent elsewhere not counted."""

    def __init__(self) -> None:
        self._images = 0
        self._since = time.perf_counter()

    def count(self, images: int) -> None:
        self._images += images

    def images_per_second(self) -> float:
        now = time.perf_counter()
        rate = self._images / max(now - self._since, 1e-9)
        self._images, self._since = 0, now
        return round(rate, 3)

    @contextmanager
    def paused(self) -> Iterator[None]:
        before = time.perf_counter()
        yield
        self._since += time.perf_counter() - before
