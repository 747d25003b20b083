"""How long a run is, and when it evaluates, saves and logs. Steps throughout."""

import math
from dataclasses import dataclass

from dualseg.config import TrainingSettings
from dualseg.core.errors import InputError

MOST_EVALUATIONS = 20


@dataclass(frozen=True)
class Plan:
    """The timetable of a run, in optimiser steps.

    Args:
        max_steps: Length of the run.
        steps_per_epoch: Whole batches in the training split.
        eval_every: Evaluate after every so many steps, and after the last.
        checkpoint_every: Save after every so many steps, after the last, and after each new best
            score.
        log_every: Write a line of the history after every so many steps.
    """

    max_steps: int
    steps_per_epoch: int
    eval_every: int
    checkpoint_every: int
    log_every: int

    def evaluates_after(self, step: int) -> bool:
        return step > 0 and (step % self.eval_every == 0 or step == self.max_steps)

    def saves_after(self, step: int) -> bool:
        return step % self.checkpoint_every == 0 or step == self.max_steps

    def logs_after(self, step: int) -> bool:
        return step % self.log_every == 0 or step == self.max_steps

    def epoch(self, step: int) -> float:
        """Passes through the training split after `step` steps."""
        return round(step / self.steps_per_epoch, 4)


def create_plan(
    training: TrainingSettings, *, num_images: int, steps_per_epoch: int, num_processes: int = 1
) -> Plan:
    """The timetable a recipe asks for.

    Not given, `eval_every` is one epoch, or longer so that a run has about twenty evaluations;
    `checkpoint_every` is the same.

    Raises:
        InputError: The training split does not fill one batch, or the batch does not split evenly.
    """
    if training.batch_size % num_processes:
        raise InputError(
            f"training.batch_size {training.batch_size}, which is over all processes, does not "
            f"split into {num_processes} equal parts; use a multiple of {num_processes}"
        )
    if training.batch_size // num_processes % training.accumulate_steps:
        raise InputError(
            f"training.batch_size {training.batch_size} does not split into "
            f"training.accumulate_steps {training.accumulate_steps} equal parts"
            + (f" in each of {num_processes} processes" if num_processes > 1 else "")
            + "; use a multiple"
        )
    if steps_per_epoch < 1:
        raise InputError(
            f"the training split has {num_images} images, which do not fill one batch of "
            f"{training.batch_size}; use training.batch_size={max(1, num_images)} or less"
        )
    max_steps = run_length(training, steps_per_epoch)
    rare_enough = math.ceil(max_steps / MOST_EVALUATIONS)
    eval_every = training.eval_every or max(steps_per_epoch, rare_enough)
    return Plan(
        max_steps=max_steps,
        steps_per_epoch=steps_per_epoch,
        eval_every=eval_every,
        checkpoint_every=training.checkpoint_every or eval_every,
        log_every=training.log_every,
    )


def run_length(training: TrainingSettings, steps_per_epoch: int) -> int:
    """Steps of the whole run."""
    return training.max_steps or (training.max_epochs or 0) * steps_per_epoch
