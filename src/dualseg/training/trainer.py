"""`train` and `resume`: from a recipe, or a run folder, to a trained network."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dualseg.checkpoints.store import Checkpoint, CheckpointStore
from dualseg.checkpoints.training_state import Position, TrainingState
from dualseg.config import Recipe, check_recipe, load_recipe
from dualseg.core.errors import InputError
from dualseg.core.files import write_text
from dualseg.data.catalog import Splits, open_splits
from dualseg.training.changes import LENGTH, changed_keys, require_same_course
from dualseg.training.data_record import require_same_data, write_data_record
from dualseg.training.environment import (
    choose_device,
    describe_environment,
    report_differences,
    threads_to_resume,
    using_threads,
)
from dualseg.training.history import History
from dualseg.training.interruption import stop_on_signals
from dualseg.training.loop import TrainingLoop
from dualseg.training.progress import Progress, Silent
from dualseg.training.run_folder import CONFIG_FILE, owned, require_no_run, require_run
from dualseg.training.setup import (
    assemble,
    check_data,
    checkpoint_bytes,
    fill_in,
    resolve_paths,
    restore,
    start_network,
)


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    Args:
        run_folder: Where everything is.
        step: Optimiser steps done.
        best_miou: Highest validation mIoU, 0 to 1; None where nothing could be scored.
        evaluation: The last validation, as `evaluate --json` shows it.
    """

    run_folder: Path
    step: int
    best_miou: float | None
    evaluation: Mapping[str, Any] | None


def train(
    recipe: Recipe, run_folder: str | Path, *, progress: Progress | None = None
) -> TrainingResult:
    """Trains a network and leaves a run folder.

    Everything is checked before the folder is made: data, classes, network, batch, disk space.

    Args:
        recipe: What to train.
        run_folder: A new or empty folder.
        progress: Who watches; nobody if not given.

    Raises:
        InputError: A fault of recipe, data or machine; DiskFullError, NonFiniteLossError while
            training.
        Interrupted: SIGINT or SIGTERM came; the state is saved and `resume` goes on.
    """
    run_folder, progress = Path(run_folder), progress or Silent()
    require_no_run(run_folder)
    with using_threads(recipe.runtime.threads):
        splits = open_splits(recipe.data)
        for note in splits.notes:
            progress.message(note)
        recipe, loop = _prepare(recipe, run_folder, splits, progress)
        with owned(run_folder):
            require_no_run(run_folder)
            return _begin(recipe, loop, run_folder, splits)


def resume(
    run_folder: str | Path, *, overrides: Iterable[str] = (), progress: Progress | None = None
) -> TrainingResult:
    """Goes on where a run stopped; on CPU the end is bit-identical to never having stopped.

    Args:
        run_folder: A folder made by `train`.
        overrides: `key=value` for keys that leave the steps already made as they are, such as
            `training.max_steps` or `training.num_workers`.
        progress: Who watches; nobody if not given.

    Raises:
        InputError: No run, every checkpoint damaged, an override that would make it another run,
            other data.
        Interrupted: As `train`.
    """
    run_folder, progress = Path(run_folder), progress or Silent()
    require_run(run_folder)
    with owned(run_folder):
        before = resolve_paths(load_recipe(run_folder / CONFIG_FILE))
        recipe = resolve_paths(load_recipe(run_folder / CONFIG_FILE, overrides=overrides))
        require_same_course(_plain(before), _plain(recipe))
        store = CheckpointStore(
            run_folder, keep=recipe.training.keep_checkpoints, report=progress.message
        )
        store.remove_stale()
        checkpoint = store.latest()
        if checkpoint is None:
            return _start_over(recipe, run_folder, progress)
        state = _in_todays_terms(checkpoint.training_state(), checkpoint.folder)
        require_same_course(state.recipe, _plain(recipe))
        with using_threads(threads_to_resume(recipe, state.environment, progress.message)):
            return _go_on(recipe, run_folder, checkpoint, state, store, progress)


def is_finished(run_folder: Path) -> bool:
    """Whether a run has made all its steps; False for one that stopped, or never began."""
    checkpoint = CheckpointStore(run_folder, report=lambda text: None).latest()
    return checkpoint is not None and checkpoint.training_state().position.is_finished


def _start_over(recipe: Recipe, run_folder: Path, progress: Progress) -> TrainingResult:
    """For a run stopped before its first checkpoint, which is written before the first step."""
    if History(run_folder).entries():
        raise InputError(
            f"{run_folder}/checkpoints is empty, but the run has made steps; restore its "
            "checkpoints from a backup, or train anew into another folder"
        )
    progress.message("the run stopped before its first step; it begins now")
    with using_threads(recipe.runtime.threads):
        splits = open_splits(recipe.data)
        require_same_data(run_folder, splits)
        recipe, loop = _prepare(recipe, run_folder, splits, progress)
        return _begin(recipe, loop, run_folder, splits)


def _go_on(
    recipe: Recipe,
    run_folder: Path,
    checkpoint: Checkpoint,
    state: TrainingState,
    store: CheckpointStore,
    progress: Progress,
) -> TrainingResult:
    device = choose_device(recipe.runtime.device)
    report_differences(state.environment, describe_environment(recipe, device), progress.message)
    splits = open_splits(recipe.data)
    require_same_data(run_folder, splits)
    network = start_network(recipe, splits, restoring=True)
    loop = assemble(
        recipe, run_folder, splits, network, position=state.position, store=store, progress=progress
    )
    restore(loop, checkpoint, state)
    step, max_steps = state.position.step, loop.plan.max_steps
    if step > max_steps:
        raise InputError(f"the run has made {step} steps already; {max_steps} is no longer run")
    _say_what_a_new_length_means(recipe, state, progress)
    write_text(run_folder / CONFIG_FILE, recipe.to_yaml())
    store.point(step, state.position.best_step)
    loop.history.rewind(step, state.position.evaluated_step)
    if loop.position.is_finished:
        progress.message(f"{run_folder}: the run is finished, {step} steps are done")
        return _result(loop, run_folder)
    progress.message(f"{run_folder}: going on after step {step} of {max_steps}")
    return _run(loop, run_folder)


def _prepare(
    recipe: Recipe, run_folder: Path, splits: Splits, progress: Progress
) -> tuple[Recipe, TrainingLoop]:
    """Everything that can be found wrong is, before anything is written."""
    progress.message(f"checking the labels of {len(splits.train) + len(splits.val)} images")
    check_data(splits, progress.message)
    recipe = fill_in(recipe, splits, progress.message)
    store = CheckpointStore(
        run_folder, keep=recipe.training.keep_checkpoints, report=progress.message
    )
    network = start_network(recipe, splits, report=progress.message)
    loop = assemble(
        recipe, run_folder, splits, network, position=Position(), store=store, progress=progress
    )
    store.require_space(checkpoint_bytes(loop))
    return recipe, loop


def _begin(recipe: Recipe, loop: TrainingLoop, run_folder: Path, splits: Splits) -> TrainingResult:
    write_text(run_folder / CONFIG_FILE, recipe.to_yaml())
    write_data_record(run_folder, recipe.data, splits)
    return _run(loop, run_folder)


def _run(loop: TrainingLoop, run_folder: Path) -> TrainingResult:
    with stop_on_signals() as stop:
        loop.run(stop)
    return _result(loop, run_folder)


def _result(loop: TrainingLoop, run_folder: Path) -> TrainingResult:
    position = loop.position
    return TrainingResult(run_folder, position.step, position.best_miou, position.evaluation)


def _say_what_a_new_length_means(recipe: Recipe, state: TrainingState, progress: Progress) -> None:
    changed = changed_keys(state.recipe, _plain(recipe))
    if recipe.training.schedule == "poly" and any(key in changed for key in LENGTH):
        progress.message(
            "warning: the learning rate follows the new length from here on, so the result is not "
            "that of a run of this length from its start"
        )


def _in_todays_terms(state: TrainingState, folder: Path) -> TrainingState:
    """The state whose recipe has every key there is today; an older version knew fewer."""
    recipe = check_recipe(state.recipe, origin=f"the recipe saved in {folder}")
    return replace(state, recipe=_plain(resolve_paths(recipe)))


def _plain(recipe: Recipe) -> dict[str, Any]:
    return recipe.model_dump(mode="json")
