"""From what stands on the command line to a recipe, and to the data it names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dualseg.checkpoints.model_files import read_run_config
from dualseg.config import Recipe, load_recipe, parse_override
from dualseg.core.errors import InputError
from dualseg.data.catalog import list_datasets, open_dataset
from dualseg.data.dataset import SegmentationDataset

DEFAULT_RECIPE = "default"


def read_recipe(recipe: str | None, data: str | None, overrides: Sequence[str] | None) -> Recipe:
    """The recipe of `train` and `ablate`: file, then `--data`, then `--set`.

    Args:
        recipe: A file, a packaged recipe's name, or None for the packaged default.
        data: The name of a data set, or a folder; a folder keeps the kind of data the recipe names.
        overrides: `key=value`.
    """
    named = [o for o in overrides or () if _sets_data_name(o)]
    if recipe is None and data is None and not named:
        raise InputError(
            "nothing to train on: give --data DIR (images and masks), --data NAME "
            f"({', '.join(list_datasets())}), or a recipe"
        )
    return load_recipe(
        recipe or DEFAULT_RECIPE, overrides=[*data_overrides(data), *(overrides or ())]
    )


def data_overrides(data: str | None) -> list[str]:
    """`--data` as overrides: a name sets data.name, a folder data.root."""
    if data is None:
        return []
    if data in list_datasets() and not Path(data).is_dir():
        return [f"data.name={data}"]
    if not Path(data).is_dir():
        raise InputError(
            f"--data {data}: there is no such folder, and no data set of that name; "
            f"data sets: {', '.join(list_datasets())}"
        )
    return [f"data.root={_quoted(str(Path(data).resolve()))}"]


def open_evaluation_data(model: str, data: str | None, split: str | None) -> SegmentationDataset:
    """What a model is scored on: `--data`, or the data of the run it comes from.

    Args:
        model: As `load_model` takes it.
        data: `--data`, or None.
        split: `--split`; None for the run's validation split.

    Raises:
        InputError: No data is given and the model is not in a run folder.
    """
    settings = read_run_config(model)
    if settings is None:
        if data is None:
            raise InputError(
                f"{model} is not in a run folder, so say on what to evaluate: --data DIR"
            )
        name, root = (data, None) if data in list_datasets() else ("folder", data)
        return open_dataset(name, root=root, split=split or "val")
    name, root = settings.data.name, settings.data.root
    if data is not None:
        name, root = (data, None) if data in list_datasets() else (name, data)
    return open_dataset(name, root=root, split=split or settings.data.val_split)


def _sets_data_name(override: str) -> bool:
    section: Any = parse_override(override).get("data", {})
    return isinstance(section, dict) and ("name" in section or "root" in section)


def _quoted(text: str) -> str:
    """A path as a YAML text, whatever is in it."""
    return "'" + text.replace("'", "''") + "'"
