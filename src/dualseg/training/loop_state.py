"""The loop's own counters as tensors beside the optimiser's: early stopping, skips, loss scale."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from dualseg.training.loop import TrainingLoop

PREFIX = "loop"
WAITED, REFERENCE, SKIPPED = "waited", "reference", "skipped"
SCALE, GROWTH = "loss_scale", "loss_scale_growth"


def loop_tensors(loop: TrainingLoop) -> dict[str, Tensor]:
    """`loop/NAME` for every counter that is in use; none of them in a plain run."""
    tensors = {}
    if loop.stopping.patience is not None:
        reference = loop.stopping.reference
        tensors[WAITED] = torch.tensor(loop.stopping.waited)
        tensors[REFERENCE] = torch.tensor(
            math.nan if reference is None else reference, dtype=torch.float64
        )
    if loop.skipped:
        tensors[SKIPPED] = torch.tensor(loop.skipped)
    if loop.take_step.scaler is not None:
        scale = loop.take_step.scaler.state_dict()
        tensors[SCALE] = torch.tensor(scale["scale"], dtype=torch.float64)
        tensors[GROWTH] = torch.tensor(scale["_growth_tracker"])
    return {f"{PREFIX}/{name}": tensor for name, tensor in tensors.items()}


def restore_loop(loop: TrainingLoop, tensors: Mapping[str, Tensor], *, planned_before: int) -> None:
    """The inverse of `loop_tensors`; a run that had stopped early is at its end again.

    Where it is asked for more steps than it was planned for then, it goes on: its patience begins
    anew, and the score that counts as a rise stays the one before.

    Args:
        loop: Is filled.
        tensors: Of a checkpoint.
        planned_before: Length of the run, in steps, when that was written.
    """
    saved = {
        name.removeprefix(f"{PREFIX}/"): tensor.item()
        for name, tensor in tensors.items()
        if name.startswith(f"{PREFIX}/")
    }
    stopping, scaler = loop.stopping, loop.take_step.scaler
    if WAITED in saved:
        stopping.waited = int(saved[WAITED])
        reference = float(saved[REFERENCE])
        stopping.reference = None if math.isnan(reference) else reference
    loop.skipped = int(saved.get(SKIPPED, 0))
    if scaler is not None and SCALE in saved:
        scaler.load_state_dict(
            {**scaler.state_dict(), "scale": saved[SCALE], "_growth_tracker": int(saved[GROWTH])}
        )
    if stopping.is_over and loop.plan.max_steps > planned_before:
        loop.progress.message(
            f"the run had stopped early, after step {loop.position.step} of {planned_before}; with "
            f"{loop.plan.max_steps} steps it goes on, and training.patience counts anew"
        )
        stopping.waited = 0
    if stopping.is_over:
        loop.position.max_steps = loop.position.step
