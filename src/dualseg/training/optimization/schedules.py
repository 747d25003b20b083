"""The learning rate as a pure function of the step: nothing to save, nothing to restore."""

import math
from collections.abc import Sequence

from dualseg.config import TrainingSettings
from dualseg.config.training import ScheduleName

FOLLOW_THE_LENGTH = ("poly", "cosine", "one_cycle")  # another max_steps changes every rate to come


def lr_factor(
    step: int,
    *,
    max_steps: int,
    schedule: ScheduleName = "poly",
    power: float = 0.9,
    warmup_steps: int = 0,
    warmup_factor: float = 0.01,
    step_every: int | None = None,
    milestones: Sequence[int] = (),
    step_factor: float = 0.1,
    final_factor: float = 0.0,
    rise: float = 0.3,
    start_factor: float = 0.04,
) -> float:
    """What the base learning rate is multiplied with in optimiser step `step`, counted from 0.

    First a straight line from `warmup_factor` to 1 over `warmup_steps`; then the schedule over the
    steps that remain:

    - poly: (1 - progress) ** power, laid between 1 and `final_factor`, which it would reach at
      `max_steps`.
    - constant: 1.
    - step: times `step_factor` after every `step_every` steps.
    - multi_step: times `step_factor` at each of `milestones`. Both count from the run's first step.
    - cosine: half a wave from 1, which would reach `final_factor` at `max_steps`.
    - one_cycle: half a wave from `start_factor` up to 1 over the share `rise` of the run, and half
      a wave down to `final_factor`. No warm-up.

    Sources: poly, Chen et al. 2017, arXiv:1606.00915, section 4.1.2; cosine, Loshchilov & Hutter
    2017, arXiv:1608.03983, without restarts; one_cycle, Smith & Topin 2018, arXiv:1708.07120, with
    cosine instead of straight flanks, as torch's OneCycleLR (whose momentum cycle is left out).
    """
    if step < warmup_steps:
        return warmup_factor + (1.0 - warmup_factor) * step / warmup_steps
    if schedule == "constant":
        return 1.0
    if schedule == "step":
        assert step_every is not None, "the recipe is checked"
        return step_factor ** (step // step_every)
    if schedule == "multi_step":
        return step_factor ** sum(step >= milestone for milestone in milestones)
    if schedule == "one_cycle":
        return _one_cycle(step, max_steps, rise, start_factor, final_factor)
    progress = (step - warmup_steps) / (max_steps - warmup_steps)
    if schedule == "cosine":
        return _half_wave(1.0, final_factor, progress)
    return final_factor + (1.0 - final_factor) * (1.0 - progress) ** power


def lr_factor_of(training: TrainingSettings, step: int, *, max_steps: int) -> float:
    """`lr_factor` with a recipe's values."""
    return lr_factor(
        step,
        max_steps=max_steps,
        schedule=training.schedule,
        power=training.poly_power,
        warmup_steps=training.warmup_steps,
        warmup_factor=training.warmup_factor,
        step_every=training.lr_step_every,
        milestones=training.lr_milestones,
        step_factor=training.lr_step_factor,
        final_factor=training.final_lr_factor,
        rise=training.one_cycle_rise,
        start_factor=training.one_cycle_start_factor,
    )


def _one_cycle(step: int, max_steps: int, rise: float, start: float, final: float) -> float:
    """The top is at step rise * max_steps - 1, the end at the last step, max_steps - 1."""
    top = max(rise * max_steps - 1.0, 0.0)
    if step < top:
        return _half_wave(start, 1.0, step / top)
    rest = max_steps - 1.0 - top
    return _half_wave(1.0, final, (step - top) / rest if rest > 0 else 0.0)


def _half_wave(first: float, last: float, progress: float) -> float:
    return last + (first - last) * (1.0 + math.cos(math.pi * progress)) / 2.0
