"""The learning rate as a pure function of the step: nothing to save, nothing to restore."""

from typing import Literal


def lr_factor(
    step: int,
    *,
    max_steps: int,
    schedule: Literal["poly", "constant"] = "poly",
    power: float = 0.9,
    warmup_steps: int = 0,
    warmup_factor: float = 0.01,
) -> float:
    """What the base learning rate is multiplied with in optimiser step `step`, counted from 0.

    A straight line from `warmup_factor` to 1 over `warmup_steps`; after it either 1, or the
    polynomial (1 - progress) ** power over the steps that remain, which would reach 0 at
    `max_steps`.

    Source: the polynomial is that of Chen et al. 2017, arXiv:1606.00915, section 4.1.2.
    """
    if step < warmup_steps:
        return warmup_factor + (1.0 - warmup_factor) * step / warmup_steps
    if schedule == "constant":
        return 1.0
    progress = (step - warmup_steps) / (max_steps - warmup_steps)
    return (1.0 - progress) ** power
