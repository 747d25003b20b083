"""What each part of DSRL gives: the same recipe trained with more and more of it, over seeds.

Two baselines are trained, not one. The paper's sees the label shrunk to the input's size, so part
of what it calls the gain of SSSR may be the better label alone; the second is given the full label
through plain bilinear upsampling of its logits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dualseg.config import Recipe, check_recipe
from dualseg.core.errors import InputError, nearest
from dualseg.training.records.run_folder import CONFIG_FILE
from dualseg.training.same_recipe import recipe_differences

_FULL_LABEL = {"label_size": "full", "label_shrink": "nearest"}

VARIANTS: dict[str, dict[str, Any]] = {
    "low label": {"dsrl": {"enabled": False}, "data": {"label_size": "input"}},
    "full label": {"dsrl": {"enabled": False}, "data": _FULL_LABEL},
    "+SSSR": {"dsrl": {"enabled": True, "stage": 1}, "data": _FULL_LABEL},
    "+SSSR +SISR": {"dsrl": {"enabled": True, "stage": 2}, "data": _FULL_LABEL},
    "+SSSR +SISR +FA": {"dsrl": {"enabled": True, "stage": 3}, "data": _FULL_LABEL},
}


SHORT_NAMES = {"baseline": "low label", "+SISR": "+SSSR +SISR", "+FA": "+SSSR +SISR +FA"}
"""By what each variant adds to the one before it; `low_label` and the like are understood too."""


@dataclass(frozen=True)
class AblationRun:
    """One training of the grid.

    Args:
        variant: A name in `VARIANTS`.
        seed: Of weights, crops and dropout; equal seeds make runs of two variants a pair.
        recipe: What is trained.
        folder: Its run folder.
    """

    variant: str
    seed: int
    recipe: Recipe
    folder: Path


def plan_ablation(
    recipe: Recipe, out: Path, *, variants: Sequence[str] | None = None, num_seeds: int = 1
) -> list[AblationRun]:
    """The grid, seed by seed, so that a stopped ablation has whole seeds.

    Args:
        recipe: What all runs share. The variant sets `dsrl.enabled`, `dsrl.stage` and the label's
            size.
        out: Folder of all runs: `out/VARIANT/seed_N`.
        variants: Names in `VARIANTS`, their slugs or `SHORT_NAMES`; all where not given. The order
            is always that of the table, baselines first.
        num_seeds: Seeds recipe.seed, recipe.seed + 1, ...

    Raises:
        InputError: An unknown variant, or a recipe that sees its images at full size.
    """
    chosen = VARIANTS if variants is None else [_full_name(name) for name in variants]
    names = [name for name in VARIANTS if name in chosen]
    if recipe.data.input_scale != 0.5:
        raise InputError(
            f"data.input_scale is {recipe.data.input_scale}; an ablation of DSRL needs 0.5 "
            "(--set data.input_scale=0.5)"
        )
    seeds = range(recipe.seed, recipe.seed + num_seeds)
    return [
        AblationRun(name, seed, _variant(recipe, name, seed), out / slug(name) / f"seed_{seed}")
        for seed in seeds
        for name in names
    ]


def slug(variant: str) -> str:
    """A variant's name as a folder name: `+SSSR +SISR` -> `sssr_sisr`."""
    return "_".join(variant.replace("+", "").lower().split())


def run_ablation(
    plan: Sequence[AblationRun],
    *,
    train: Callable[[Recipe, Path], object],
    resume: Callable[[Path], object],
    is_finished: Callable[[Path], bool],
    announce: Callable[[AblationRun, int], None],
    finish: Callable[[AblationRun], object],
) -> None:
    """Trains what is missing of the grid: finished runs are kept, stopped ones are resumed.

    Args:
        plan: From `plan_ablation`.
        train: Starts a run in a folder.
        resume: Goes on with one.
        is_finished: Whether a run has been trained and finished altogether.
        announce: Told each run and its number before it starts.
        finish: Called after the last step of each run that was not finished before.

    Raises:
        InputError: A folder holds a run of another recipe; nothing is trained then.
    """
    require_same_recipes(plan)
    for number, run in enumerate(plan, start=1):
        if is_finished(run.folder):
            continue
        announce(run, number)
        if (run.folder / CONFIG_FILE).exists():
            resume(run.folder)
        else:
            train(run.recipe, run.folder)
        finish(run)


def require_same_recipes(plan: Sequence[AblationRun]) -> None:
    """A table compares equal budgets only if every run that is there was made with its recipe.

    Raises:
        InputError: Some were not; the keys that differ are listed.
    """
    problems = []
    for run in plan:
        if (run.folder / CONFIG_FILE).exists():
            differences = recipe_differences(run.folder, run.recipe)
            problems += [f"{run.folder}: {difference}" for difference in differences]
    if problems:
        raise InputError(
            "there are runs of another recipe in this folder; use another --out, or give the "
            "settings they were made with. What differs:",
            problems,
        )


def _full_name(name: str) -> str:
    known = {full: full for full in VARIANTS} | {slug(full): full for full in VARIANTS}
    known |= SHORT_NAMES
    if name not in known:
        raise InputError(f"there is no variant {name!r}; {nearest(name, known)}")
    return known[name]


def _variant(recipe: Recipe, name: str, seed: int) -> Recipe:
    settings = recipe.model_dump()
    settings["seed"] = seed
    for section, values in VARIANTS[name].items():
        settings[section] = {**_mapping(settings[section]), **values}
    return check_recipe(settings, origin=f"variant {name}")


def _mapping(section: Any) -> Mapping[str, Any]:
    assert isinstance(section, Mapping)
    return section
