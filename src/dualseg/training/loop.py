"""The training loop: step, log, evaluate, save, in an order that no kill can spoil."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from torch import Tensor, nn

from dualseg.checkpoints.store import CheckpointStore
from dualseg.checkpoints.training_state import Position, TrainingState
from dualseg.core.facts import ModelFacts
from dualseg.data.loaders import RawBatch
from dualseg.training.ema import WeightAverage
from dualseg.training.event_writer import EventWriter
from dualseg.training.history import History
from dualseg.training.interruption import Interrupted, StopRequest
from dualseg.training.plan import Plan
from dualseg.training.progress import Progress
from dualseg.training.step import StepResult, TrainingStep

Evaluate = Callable[[nn.Module, Callable[[int, int], None]], dict[str, Any]]


class Loader(Protocol):
    """The batches of a run, addressed by their number."""

    def batches(self, start_batch: int) -> Iterator[RawBatch]: ...


class _StopEvaluation(Exception):  # noqa: N818
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
        events: The same as TensorBoard events.
        progress: Who watches.
        unsaved: The position differs from the newest checkpoint's.
    """

    plan: Plan
    position: Position
    model: nn.Module
    average: WeightAverage | None
    take_step: TrainingStep
    loader: Loader
    evaluate: Evaluate
    facts: ModelFacts
    describe: Callable[[Position], TrainingState]
    store: CheckpointStore
    history: History
    events: EventWriter
    progress: Progress
    unsaved: bool = True
    _stop: StopRequest = field(default_factory=StopRequest)
    _saved_step: int = 0
    _pace: "_Pace" = field(default_factory=lambda: _Pace())

    def run(self, stop: StopRequest) -> None:
        """Trains to the end of the plan, or until `stop` is set.

        Raises:
            Interrupted: A signal came; the newest checkpoint holds the step it names.
            NonFiniteLossError, DiskFullError: The newest checkpoint is intact.
        """
        self._stop, self._saved_step = stop, self.position.step
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
            self.events.close()

    def _train(self, batches: Iterator[RawBatch], stop: StopRequest) -> None:
        while True:
            improved = self._evaluate_if_due()
            step = self.position.step
            due = improved or self.plan.saves_after(step) or bool(stop)
            if self.unsaved and due:
                self._save()
            if step >= self.plan.max_steps and not self._evaluation_is_due():
                return
            if stop.signum is not None:
                raise Interrupted(stop.signum, step)
            batch = self._next(batches)
            if batch is not None:
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
        if self.average is not None:
            self.average.update(self.model, self.position.step)
        self.position.step += 1
        self.unsaved = True
        self._pace.count(len(batch.names))
        self._log(result)
        self.progress.stepped(self.position.step, self.plan.max_steps, result.losses, result.lr)

    def _log(self, result: StepResult) -> None:
        """Adds to the running means and writes them out when a line is due."""
        position, step = self.position, self.position.step
        position.summed_steps += 1
        sums = position.summed_losses
        for name, value in result.losses.items():
            sums[name] = sums.get(name, 0.0) + value
        if not self.plan.logs_after(step):
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
        except _StopEvaluation:
            return False
        position = self.position
        improved = _is_better(evaluation.get("miou"), position.best_miou)
        if improved:
            position.best_step, position.best_miou = position.step, evaluation["miou"]
        position.evaluated_step, position.evaluation = position.step, evaluation
        self.unsaved = True
        scores = {name: value for name, value in evaluation.items() if isinstance(value, float)}
        self._record("val", scores)
        self.progress.evaluated(position.step, scores, improved)
        return improved

    def _watch_evaluation(self, done: int, total: int) -> None:
        self.progress.evaluating(done, total)
        if self._stop:
            raise _StopEvaluation

    def _record(self, split: str, numbers: Mapping[str, Any]) -> None:
        step = self.position.step
        entry = {"step": step, "epoch": self.plan.epoch(step), "split": split, **numbers}
        self.history.append(entry)
        self.events.add(entry)

    def _save(self) -> None:
        self.history.flush()
        weights: Mapping[str, Tensor] = (self.average or self.model).state_dict()
        facts = self.facts
        if self.position.evaluation and self.position.evaluated_step == self.position.step:
            evaluation = self.position.evaluation
            facts = replace(facts, score=evaluation["miou"], protocol=evaluation["protocol"])
        with self._pace.paused():
            self.store.save(weights, facts, self.describe(self.position))
        self.unsaved, self._saved_step = False, self.position.step


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
