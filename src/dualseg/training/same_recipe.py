"""Is a folder's run the one a recipe asks for? It wrote that down as `fill_in` completed it."""

from pathlib import Path
from typing import Any

from dualseg.config import Recipe, load_recipe, read_yaml
from dualseg.core.errors import InputError
from dualseg.core.image_spec import default_mean_std
from dualseg.training.optimization.warm_up import shorten_warm_ups
from dualseg.training.plan import run_length
from dualseg.training.preflight import fill_in_network, resolve_paths
from dualseg.training.records.changes import changed_keys, describe_changes, noted_changes
from dualseg.training.records.run_folder import CONFIG_FILE, DATASET_FILE

_RESULT_IS_THE_SAME = (
    "eval_every",
    "checkpoint_every",
    "keep_checkpoints",
    "log_every",
    "num_workers",
)


def recipe_differences(run_folder: Path, recipe: Recipe) -> list[str]:
    """What makes a run another one than the recipe's, one line a key; empty where nothing does.

    A run whose recipe was changed on its way is another one, whatever its recipe is now.
    What the recipe leaves to the data is not compared. A rule for class weights is among that: it
    is not told from another rule, since the run has written numbers in its place.

    Args:
        run_folder: A folder that holds a run.
        recipe: As asked for.
    """
    there = load_recipe(run_folder / CONFIG_FILE)
    length = _length(run_folder, there)
    if length is not None:
        there, recipe = (
            shorten_warm_ups(one, length, lambda text: None) for one in (there, recipe)
        )
    changed = changed_keys(_comparable(there), _comparable(recipe))
    noted = [
        f"{line} from step {step} on"
        for step, changes in noted_changes(run_folder).items()
        for line in describe_changes(changes)
    ]
    return noted + [
        f"{key}: {old!r} there, {new!r} asked for"
        for key, (old, new) in changed.items()
        if not _is_filled_in(key, old, new)
    ]


def require_recipe_of(run_folder: Path, recipe: Recipe) -> None:
    """Refuses a run that another recipe began.

    Raises:
        InputError: It did; the keys that differ are listed.
    """
    problems = recipe_differences(run_folder, recipe)
    if problems:
        raise InputError(
            f"{run_folder} already holds a run of another recipe; use dualseg resume {run_folder} "
            "or another --out. What differs:",
            problems,
        )


def _length(run_folder: Path, there: Recipe) -> int | None:
    """Steps of the whole run; None where it is given in epochs, and their length is not noted."""
    record = run_folder / DATASET_FILE
    if there.training.max_steps is not None:
        return there.training.max_steps
    if not record.is_file():
        return None
    num_images = read_yaml(record)["train"]["images"]
    return run_length(there.training, num_images // there.training.batch_size)


def _comparable(recipe: Recipe) -> dict[str, Any]:
    """Without what does not change a run's result."""
    settings = resolve_paths(fill_in_network(recipe)).model_dump(mode="json")
    root = settings["data"]["root"]
    settings["data"]["root"] = str(Path(root).resolve()) if root else None
    del settings["data"]["cache"], settings["runtime"]
    for key in _RESULT_IS_THE_SAME:
        del settings["training"][key]
    return settings


def _is_filled_in(key: str, there: Any, asked: Any) -> bool:
    """Whether a run has written a value where its recipe left it to the data."""
    if key == "loss.class_weights":
        return isinstance(asked, str) and there is not None
    if key in ("data.mean", "data.std"):
        which = ("data.mean", "data.std").index(key)
        defaults = [list(default_mean_std(bands)[which]) for bands in (len(there), 3)]
        return [there, asked] == defaults
    return key in ("data.crop_size", "distillation.teacher_fingerprint") and asked is None
