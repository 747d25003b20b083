"""Is a folder's run the one a recipe asks for? It wrote that down as `fill_in` completed it."""

from pathlib import Path
from typing import Any

from dualseg.config import Recipe, load_recipe
from dualseg.core.errors import InputError
from dualseg.core.image_spec import default_mean_std
from dualseg.training.preflight import fill_in_network, resolve_paths
from dualseg.training.records.changes import changed_keys, describe_changes, noted_changes
from dualseg.training.records.run_folder import CONFIG_FILE

_RESULT_IS_THE_SAME = (
    "warmup_steps",
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


def _comparable(recipe: Recipe) -> dict[str, Any]:
    """Without what does not change a run's result, or is shortened by the run itself."""
    settings = resolve_paths(fill_in_network(recipe)).model_dump(mode="json")
    root = settings["data"]["root"]
    settings["data"]["root"] = str(Path(root).resolve()) if root else None
    del settings["data"]["cache"], settings["runtime"], settings["dsrl"]["warmup_steps"]
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
