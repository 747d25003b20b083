"""`train` and `resume`: from a recipe, or a run folder, to a trained network."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dualseg.checkpoints.store import Checkpoint, CheckpointStore
from dualseg.checkpoints.training_state import Position, TrainingState
from dualseg.config import Recipe, check_recipe, load_recipe
from dualseg.core.errors import InputError
from dualseg.core.files import write_text
from dualseg.core.processes import Processes, joined_processes
from dualseg.data.catalog import Splits, open_splits
from dualseg.training.environment import (
    choose_device,
    describe_environment,
    repeatable,
    report_differences,
    threads_to_resume,
    using_threads,
)
from dualseg.training.idle_keys import describe_idle_keys
from dualseg.training.interruption import Interrupted, stop_on_signals
from dualseg.training.loop import TrainingLoop
from dualseg.training.network import start_network
from dualseg.training.objectives.objective import num_auxiliary_heads
from dualseg.training.optimization.schedules import FOLLOW_THE_LENGTH
from dualseg.training.preflight import check_data, fill_in, require_apart, resolve_paths
from dualseg.training.profiling import PROFILE_FOLDER, StepProfiler
from dualseg.training.progress import Progress, Silent
from dualseg.training.records.changes import (
    LENGTH,
    changed_keys,
    course_changes,
    describe_changes,
    note_changes,
    noted_changes,
    require_restorable,
    require_same_course,
)
from dualseg.training.records.data_record import require_same_data, write_data_record
from dualseg.training.records.history import History
from dualseg.training.records.run_folder import CONFIG_FILE, owned, require_new, require_run
from dualseg.training.same_recipe import require_recipe_of
from dualseg.training.setup import assemble, checkpoint_bytes, restore


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
    recipe: Recipe,
    run_folder: str | Path,
    *,
    progress: Progress | None = None,
    processes: Processes | None = None,
    profile: bool = False,
) -> TrainingResult:
    """Trains a network and leaves a run folder.

    Everything is checked before the folder is made: data, classes, network, batch, disk space.
    Under `torchrun` all its processes train one network, and the first one writes. After a restart
    by it, `train` goes on with the run it had begun.

    Args:
        recipe: What to train.
        run_folder: A new or empty folder.
        progress: Who watches; nobody if not given. Only the first process's is told anything.
        processes: Who trains together, where they have joined already.
        profile: Write where a few steps' time goes to the run folder.

    Raises:
        InputError: A fault of recipe, data or machine; DiskFullError, NonFiniteLossError while
            training.
        Interrupted: SIGINT or SIGTERM came; the state is saved and `resume` goes on.
        OtherProcessFailedError: One of many processes ended, so this one does too.
    """
    run_folder = Path(run_folder)
    with _together(processes, progress) as (us, progress):
        if us.attempt > 0 and us.from_first((run_folder / CONFIG_FILE).is_file()):
            if us.is_first:  # another run may be there, which the first attempt refused
                require_recipe_of(run_folder, recipe)
            progress.message(f"attempt {us.attempt + 1}: going on with {run_folder}")
            return _own_and_resume(run_folder, (), False, progress, us)
        if us.is_first:
            require_new(run_folder)
        with using_threads(recipe.runtime.threads), repeatable(recipe.runtime.deterministic):
            splits = _open_splits(recipe, us, progress)
            for note in splits.notes:
                progress.message(note)
            recipe, loop = prepare(recipe, run_folder, splits, progress, us)
            with _owned_by_first(run_folder, us):
                if us.is_first:
                    require_new(run_folder)
                if profile and us.is_first:
                    folder = run_folder / PROFILE_FOLDER
                    loop.profiler = StepProfiler(folder, report=progress.message)
                return _begin(recipe, loop, run_folder, splits)


def resume(
    run_folder: str | Path,
    *,
    overrides: Iterable[str] = (),
    allow_changed: bool = False,
    progress: Progress | None = None,
    processes: Processes | None = None,
) -> TrainingResult:
    """Goes on where a run stopped; on CPU the end is bit-identical to never having stopped.

    With another number of processes than before the samples of each step are the same, and the
    sums are rounded otherwise.

    Args:
        run_folder: A folder made by `train`.
        overrides: `key=value` for keys that leave the steps already made as they are, such as
            `training.max_steps` or `training.num_workers`.
        allow_changed: Other keys may change too. What differs is told, and noted in the run's
            `changes.jsonl`.
        progress: Who watches; nobody if not given.
        processes: As for `train`.

    Raises:
        InputError: No run, every checkpoint damaged, an override that would make it another run,
            or that no steps would be made with, other data.
        Interrupted, OtherProcessFailedError: As `train`.
    """
    run_folder = Path(run_folder)
    with _together(processes, progress) as (us, progress):
        require_run(run_folder)
        return _own_and_resume(run_folder, tuple(overrides), allow_changed, progress, us)


def _own_and_resume(
    run_folder: Path,
    overrides: Iterable[str],
    allow_changed: bool,
    progress: Progress,
    us: Processes,
) -> TrainingResult:
    with _owned_by_first(run_folder, us):
        return _resume(run_folder, overrides, allow_changed, progress, us)


def _resume(
    run_folder: Path,
    overrides: Iterable[str],
    allow_changed: bool,
    progress: Progress,
    us: Processes,
) -> TrainingResult:
    before = resolve_paths(load_recipe(run_folder / CONFIG_FILE))
    recipe = resolve_paths(load_recipe(run_folder / CONFIG_FILE, overrides=overrides))
    if not allow_changed:
        require_same_course(_plain(before), _plain(recipe))
    store = CheckpointStore(
        run_folder, keep=recipe.training.keep_checkpoints, report=progress.message
    )
    checkpoint = _newest(store, us)
    if checkpoint is None:
        return _start_over(recipe, run_folder, progress, us)
    state = _in_todays_terms(checkpoint.training_state(), checkpoint.folder)
    if not allow_changed:
        noted = noted_changes(run_folder).get(state.position.step)
        require_same_course(state.recipe, _plain(recipe), noted=noted)
    threads = threads_to_resume(recipe, state.environment, progress.message)
    with using_threads(threads), repeatable(recipe.runtime.deterministic):
        return _go_on(recipe, run_folder, checkpoint, state, store, progress, us)


@contextmanager
def _together(
    processes: Processes | None, progress: Progress | None
) -> Iterator[tuple[Processes, Progress]]:
    """The processes of this run, and who hears of it: only the first one's watcher."""
    if processes is None:
        with joined_processes() as joined:
            yield joined, (progress or Silent()) if joined.is_first else Silent()
        return
    yield processes, (progress or Silent()) if processes.is_first else Silent()


@contextmanager
def _owned_by_first(run_folder: Path, us: Processes) -> Iterator[None]:
    if not us.is_first:
        yield
        return
    with owned(run_folder):
        yield


def _newest(store: CheckpointStore, us: Processes) -> Checkpoint | None:
    """The checkpoint the first process has found whole, for all of them."""
    found = None
    if us.is_first:
        store.remove_stale()
        found = store.latest()
    found = us.from_first(found)
    if found is not None and not found.folder.is_dir():
        raise InputError(
            f"process {us.rank} does not see {found.folder}; the run folder must lie where the "
            "processes of all machines can read it"
        )
    return found


def _open_splits(recipe: Recipe, us: Processes, progress: Progress) -> Splits:
    """The first process may have to unpack or generate; the others find it done."""
    with us.first_goes_first("open the data"):
        return open_splits(recipe.data, progress=partial(progress.looking, "looking at the data"))


def is_finished(run_folder: Path) -> bool:
    """Whether a run has made all its steps; False for one that stopped, or never began."""
    checkpoint = CheckpointStore(run_folder, report=lambda text: None).latest()
    return checkpoint is not None and checkpoint.training_state().position.is_finished


def _start_over(
    recipe: Recipe, run_folder: Path, progress: Progress, us: Processes
) -> TrainingResult:
    """For a run stopped before its first checkpoint, which is written before the first step."""
    if History(run_folder).entries():
        raise InputError(
            f"{run_folder}/checkpoints is empty, but the run has made steps; restore its "
            "checkpoints from a backup, or train anew into another folder"
        )
    progress.message("the run stopped before its first step; it begins now")
    with using_threads(recipe.runtime.threads), repeatable(recipe.runtime.deterministic):
        splits = _open_splits(recipe, us, progress)
        require_same_data(run_folder, splits)
        recipe, loop = prepare(recipe, run_folder, splits, progress, us)
        return _begin(recipe, loop, run_folder, splits)


def _go_on(
    recipe: Recipe,
    run_folder: Path,
    checkpoint: Checkpoint,
    state: TrainingState,
    store: CheckpointStore,
    progress: Progress,
    us: Processes,
) -> TrainingResult:
    device = choose_device(recipe.runtime.device, us)
    now = describe_environment(recipe, device, us)
    report_differences(state.environment, now, progress.message)
    splits = _open_splits(recipe, us, progress)
    require_same_data(run_folder, splits)
    changes = course_changes(state.recipe, _plain(recipe))
    require_restorable(changes)
    if changes:
        recipe = fill_in(recipe, splits, progress.message, processes=us)
        state.position.summed_steps, state.position.summed_losses = 0, {}  # of other terms
    network = start_network(recipe, splits, restoring=True)
    loop = assemble(
        recipe,
        run_folder,
        splits,
        network,
        position=state.position,
        store=store,
        progress=progress,
        processes=us,
    )
    restore(loop, checkpoint, state)
    step, max_steps = state.position.step, loop.plan.max_steps
    if step > max_steps:
        raise InputError(f"the run has made {step} steps already; {max_steps} is no longer run")
    _say_what_a_new_length_means(recipe, state, progress)
    changes = course_changes(state.recipe, _plain(recipe))
    if changes and loop.position.is_finished:
        raise InputError(
            f"{run_folder} is finished, so no step would be made with what changed; give it more "
            "steps with training.max_steps or max_epochs, or leave the changes out"
        )
    for line in describe_changes(changes):
        progress.message(f"warning: from step {step} on another run than it began as: {line}")
    if us.is_first:
        write_text(run_folder / CONFIG_FILE, recipe.to_yaml())
        if changes:  # last: a kill in between leaves them to be allowed again
            note_changes(run_folder, step, changes)
        store.point(step, state.position.best_step)
        loop.history.rewind(step, state.position.evaluated_step)
    if loop.position.is_finished:
        progress.message(f"{run_folder}: {_why_nothing_is_left(loop)}")
        return _result(loop, run_folder)
    progress.message(f"{run_folder}: going on after step {step} of {max_steps}")
    return _run(loop, run_folder)


def prepare(
    recipe: Recipe, run_folder: Path, splits: Splits, progress: Progress, us: Processes
) -> tuple[Recipe, TrainingLoop]:
    """A loop that is ready to run; everything that can be found wrong is, and nothing is written.

    Raises:
        InputError: What was found wrong.
    """
    with us.first_goes_first("check the data"):
        if us.is_first:
            require_apart(run_folder, recipe.data.root, splits)
            progress.message(f"checking the labels of {len(splits.train) + len(splits.val)} images")
            check_data(splits, progress)
    asked, recipe = recipe, fill_in(recipe, splits, progress.message, processes=us)
    store = CheckpointStore(
        run_folder, keep=recipe.training.keep_checkpoints, report=progress.message
    )
    with us.first_goes_first("start the network"):
        network = start_network(recipe, splits, report=progress.message)
    for note in describe_idle_keys(asked, num_auxiliary=num_auxiliary_heads(network)):
        progress.message(note)
    loop = assemble(
        recipe,
        run_folder,
        splits,
        network,
        position=Position(),
        store=store,
        progress=progress,
        processes=us,
    )
    if us.is_first:
        store.require_space(checkpoint_bytes(loop))
    return recipe, loop


def _begin(recipe: Recipe, loop: TrainingLoop, run_folder: Path, splits: Splits) -> TrainingResult:
    if loop.processes.is_first:
        write_text(run_folder / CONFIG_FILE, recipe.to_yaml())
        write_data_record(run_folder, recipe.data, splits)
    return _run(loop, run_folder)


def _run(loop: TrainingLoop, run_folder: Path) -> TrainingResult:
    with stop_on_signals() as stop:
        loop.run(stop)
    [signum] = loop.processes.largest(stop.signum or 0)
    if signum:  # after the last validation; what would follow this run must not begin
        raise Interrupted(signum, loop.position.step)
    return _result(loop, run_folder)


def _result(loop: TrainingLoop, run_folder: Path) -> TrainingResult:
    position = loop.position
    return TrainingResult(run_folder, position.step, position.best_miou, position.evaluation)


def _why_nothing_is_left(loop: TrainingLoop) -> str:
    step, stopping = loop.position.step, loop.stopping
    if step == loop.plan.max_steps:
        return f"the run is finished, {step} steps are done"
    return (
        f"the run stopped early, after step {step} of {loop.plan.max_steps}: the score had not "
        f"risen for {stopping.waited} validation{'s' * (stopping.waited != 1)} (training.patience "
        f"{stopping.patience}). To go on, resume it with --set training.patience="
        f"{2 * stopping.waited}, or with null for none, or with more steps than it was planned for"
    )


def _say_what_a_new_length_means(recipe: Recipe, state: TrainingState, progress: Progress) -> None:
    changed = changed_keys(state.recipe, _plain(recipe))
    follows = recipe.training.schedule in FOLLOW_THE_LENGTH
    if follows and any(key in changed for key in LENGTH):
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
