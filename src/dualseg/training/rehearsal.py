"""A few steps that leave nothing behind: what a run will take, and which rate and batch suit it."""

import gc
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

import torch

from dualseg.checkpoints.store import CheckpointStore
from dualseg.checkpoints.training_state import Position
from dualseg.config import Recipe
from dualseg.core.errors import InputError
from dualseg.core.memory import available_memory
from dualseg.core.processes import ALONE, Processes
from dualseg.data.catalog import Splits, open_splits
from dualseg.training.environment import repeatable, using_threads
from dualseg.training.loop import TrainingLoop
from dualseg.training.network import start_network
from dualseg.training.progress import Progress
from dualseg.training.records.run_folder import require_new
from dualseg.training.setup import assemble, checkpoint_bytes
from dualseg.training.step import NonFiniteLossError
from dualseg.training.trainer import prepare

TIMED_STEPS = 5
LOWEST_LR, HIGHEST_LR = 1e-6, 1.0
SMOOTHING = 0.9
HOPELESS = 4.0  # times the lowest loss: no higher rate is worth trying
USED_SHARE = 0.8  # of the memory that is free
MIB = 2**20


@dataclass(frozen=True)
class Rehearsal:
    """What a run would take.

    Args:
        parameters: Of the network, with its training-only parts.
        trainable: Of them.
        train_images, val_images: In the splits.
        max_steps: Optimiser steps.
        epochs: The same in passes over the training images.
        images_at_once: Images in the network at a time, in each process.
        num_processes: That would train together.
        device: Where.
        checkpoint_mib: Of one checkpoint on disk.
        peak_memory_mib: Of the whole process so far, or on a GPU of what torch had allocated.
        seconds_per_step: Median of a few, after the first.
        hours: For all steps, without validation and saving.
    """

    parameters: int
    trainable: int
    train_images: int
    val_images: int
    max_steps: int
    epochs: float
    images_at_once: int
    num_processes: int
    device: str
    checkpoint_mib: float
    peak_memory_mib: float
    seconds_per_step: float
    hours: float


@dataclass(frozen=True)
class LrCurve:
    """Losses at rising learning rates.

    Args:
        points: (learning rate, smoothed loss), rates ascending.
        suggestion: Rate at which the loss falls fastest.
    """

    points: tuple[tuple[float, float], ...]
    suggestion: float


@dataclass(frozen=True)
class BatchSearch:
    """How large a batch the memory takes.

    Args:
        batch_size: The largest found or reckoned; over all processes.
        tried: (batch size, peak memory in MiB) of each trial.
        available_mib: Memory that trial and run may use.
    """

    batch_size: int
    tried: tuple[tuple[int, float], ...]
    available_mib: float


def rehearse_run(
    recipe: Recipe,
    run_folder: Path,
    *,
    progress: Progress,
    processes: Processes = ALONE,
    num_steps: int = TIMED_STEPS,
) -> Rehearsal:
    """Checks all that `train` checks and times `num_steps` steps; no file is written.

    Raises:
        InputError: What `train` would refuse.
    """
    require_new(run_folder)
    with using_threads(recipe.runtime.threads), repeatable(recipe.runtime.deterministic):
        splits = open_splits(recipe.data)
        recipe, loop = prepare(recipe, run_folder, splits, progress, processes)
        seconds = _time_steps(loop, num_steps)
    training, device = recipe.training, loop.take_step.device
    parameters = list(loop.model.parameters())
    return Rehearsal(
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        train_images=len(splits.train),
        val_images=len(splits.val),
        max_steps=loop.plan.max_steps,
        epochs=loop.plan.epoch(loop.plan.max_steps),
        images_at_once=training.batch_size // training.accumulate_steps // processes.world,
        num_processes=processes.world,
        device=str(device),
        checkpoint_mib=round(checkpoint_bytes(loop) / MIB, 1),
        peak_memory_mib=round(peak_memory_bytes(device) / MIB, 1),
        seconds_per_step=round(seconds, 4),
        hours=round(seconds * loop.plan.max_steps / 3600, 3),
    )


def find_lr(
    recipe: Recipe, run_folder: Path, *, progress: Progress, num_steps: int = 100
) -> LrCurve:
    """Trains with a rate that rises from 1e-6 to 1 and watches the loss; no file is written.

    Parts keep their multipliers. It ends early where the loss explodes.

    Source: Smith 2017, arXiv:1506.01186, section 3.3 (range test). Differs: the rate rises
    geometrically, and the suggestion is where the smoothed loss falls fastest.
    """
    with using_threads(recipe.runtime.threads), repeatable(recipe.runtime.deterministic):
        splits = open_splits(recipe.data)
        recipe, loop = prepare(recipe, run_folder, splits, progress, ALONE)
        base = recipe.training.lr

        def lr(step: int) -> float:
            return LOWEST_LR * (HIGHEST_LR / LOWEST_LR) ** (step / max(num_steps - 1, 1))

        loop.take_step.lr_factor = lambda step: lr(step) / base
        losses = _losses(loop, num_steps, progress)
    points = tuple((lr(step), loss) for step, loss in enumerate(smooth(losses)))
    return LrCurve(points, steepest(points))


def find_batch_size(recipe: Recipe, run_folder: Path, *, progress: Progress) -> BatchSearch:
    """Doubles the batch until the memory is used up; no file is written.

    A GPU is tried to its limit. On a CPU, where too much ends the process, three small batches are
    measured and the rest is reckoned from the memory each image adds.

    Raises:
        InputError: Not even the smallest batch fits.
    """
    with using_threads(recipe.runtime.threads):
        splits = open_splits(recipe.data)
        smallest = max(2, recipe.training.accumulate_steps)
        recipe, loop = prepare(_with_batch(recipe, smallest), run_folder, splits, progress, ALONE)
        device = loop.take_step.device
        del loop  # its network would stand beside that of each trial

        def peak(batch_size: int) -> float:
            return _peak_of(_with_batch(recipe, batch_size), run_folder, splits, progress)

        largest = len(splits.train)
        if device.type == "cuda":
            return _try_sizes(peak, smallest, largest, _free_on(device))
        return _reckon(peak, smallest, largest, _free_memory())


def smooth(losses: Sequence[float]) -> list[float]:
    """Running means that forget, corrected for their start at zero."""
    mean, smoothed = 0.0, []
    for number, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1.0 - SMOOTHING) * loss
        smoothed.append(mean / (1.0 - SMOOTHING**number))
    return smoothed


def steepest(points: Sequence[tuple[float, float]]) -> float:
    """The rate at which the loss falls fastest per tenfold, up to the lowest loss.

    Raises:
        InputError: The loss never falls.
    """
    lowest = min(range(len(points)), key=lambda index: points[index][1])
    slopes = {
        index: (points[index + 1][1] - points[index - 1][1])
        / math.log10(points[index + 1][0] / points[index - 1][0])
        for index in range(1, min(lowest + 1, len(points) - 1))
    }
    if not slopes or min(slopes.values()) >= 0:
        raise InputError(
            "the loss falls at no learning rate that was tried; look at the labels with dualseg "
            "data check, or try more steps"
        )
    return points[min(slopes, key=lambda index: slopes[index])][0]


def peak_memory_bytes(device: torch.device) -> int:
    """The most this process has held: on a GPU what torch allocated there, else in memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _time_steps(loop: TrainingLoop, count: int) -> float:
    """Median seconds of a step with its loading, the first one not counted."""
    loop.model.train()
    batches, seconds = loop.loader.batches(0), []
    for number in range(count + 1):
        step = min(number, loop.plan.max_steps - 1)  # schedules know no step beyond the last
        start = time.perf_counter()
        loop.take_step(next(batches), step)
        if loop.average is not None:
            loop.average.update(loop.model, step)
        if loop.take_step.device.type == "cuda":
            torch.cuda.synchronize(loop.take_step.device)
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:])


def _losses(loop: TrainingLoop, num_steps: int, progress: Progress) -> list[float]:
    loop.model.train()
    progress.started(0, num_steps)
    losses: list[float] = []
    for step, batch in enumerate(islice(loop.loader.batches(0), num_steps)):
        try:
            result = loop.take_step(batch, step)
        except NonFiniteLossError:
            break
        losses.append(result.losses["loss"])
        progress.stepped(step + 1, num_steps, result.losses, result.lr)
        if not math.isfinite(losses[-1]) or losses[-1] > HOPELESS * min(losses):
            break
    return losses


def _with_batch(recipe: Recipe, batch_size: int) -> Recipe:
    training = recipe.training.model_copy(update={"batch_size": batch_size})
    return recipe.model_copy(update={"training": training})


def _peak_of(recipe: Recipe, run_folder: Path, splits: Splits, progress: Progress) -> float:
    """Peak memory in MiB of two steps with a fresh network; the second holds optimiser state."""
    gc.collect()  # a loop and what describes it name each other: the trial before is still there
    loop = assemble(
        recipe,
        run_folder,
        splits,
        start_network(recipe, splits),
        position=Position(),
        store=CheckpointStore(run_folder, report=progress.message),
        progress=progress,
    )
    _time_steps(loop, 1)
    return peak_memory_bytes(loop.take_step.device) / MIB


def _try_sizes(
    peak: Callable[[int], float], smallest: int, largest: int, available: float
) -> BatchSearch:
    tried: list[tuple[int, float]] = []
    size = smallest
    while size <= largest:
        try:
            tried.append((size, peak(size)))
        except torch.cuda.OutOfMemoryError:
            break
        size *= 2
    if not tried:
        raise InputError(f"not even a batch of {smallest} fits into {available:.0f} MiB")
    return BatchSearch(tried[-1][0], tuple(tried), available)


def _reckon(
    peak: Callable[[int], float], smallest: int, largest: int, available: float
) -> BatchSearch:
    """From the memory that the last doubling added; peaks of one process only rise."""
    sizes = [size for size in (smallest, 2 * smallest, 4 * smallest) if size <= largest]
    tried = tuple((size, peak(size)) for size in sizes)
    if len(tried) < 2:
        return BatchSearch(sizes[-1], tried, available)
    (size, before), (last, after) = tried[-2:]
    per_image = max((after - before) / (last - size), 1e-3)
    more = int((USED_SHARE * available - after) / per_image)
    fitting = min(largest, max(smallest, last + more))
    return BatchSearch(fitting // smallest * smallest, tried, available)


def _free_on(device: torch.device) -> float:
    return torch.cuda.mem_get_info(device)[0] / MIB


def _free_memory() -> float:
    """What this process holds and could still get, in MiB; a container's limit counts.

    Raises:
        InputError: The system does not say.
    """
    try:
        return available_memory() / MIB
    except (OSError, ValueError) as error:
        raise InputError(
            "this system does not say how much memory is free; choose training.batch_size by hand"
        ) from error
