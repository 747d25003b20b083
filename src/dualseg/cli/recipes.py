"""From what stands on the command line to a recipe, and to the data it names."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dualseg.checkpoints.model_files import (
    find_model,
    is_exported,
    read_facts,
    read_run_config,
)
from dualseg.cli.console import say
from dualseg.config import Recipe, dump_yaml, load_recipe, parse_override
from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.catalog import SHARDS, kind_of_folder, list_datasets, open_dataset
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.pictures.image_settings import for_network
from dualseg.data.shards.source import are_shards
from dualseg.data.shards.urls import normalized
from dualseg.models.backbones.create import closest_output_stride

DEFAULT_RECIPE = "default"


def read_recipe(
    recipe: str | None,
    data: str | None,
    overrides: Sequence[str] | None,
    *,
    report: Callable[[str], None] = say,
) -> Recipe:
    """The recipe of `train` and `ablate`: file, then `--data`, then `--set`.

    Args:
        recipe: A file, a packaged recipe's name, or None for the packaged default.
        data: The name of a data set, a folder, or shards; a folder keeps the kind of data the
            recipe names.
        overrides: `key=value`.
        report: Hears of an output stride that is not the recipe's, since the backbone asked for
            cannot run at that.
    """
    named = any(_sets(override, "data", "name", "root") for override in overrides or ())
    if recipe is None and data is None and not named:
        raise InputError(
            "nothing to train on: give --data DIR (images and masks), --data NAME "
            f"({', '.join(list_datasets())}), or a recipe"
        )
    chosen, changes = recipe or DEFAULT_RECIPE, list(overrides or ())
    settings = load_recipe(chosen, overrides=changes)
    changes = [*_possible_stride(settings, changes, report), *changes]
    if data is not None:
        name, root = find_data(data, before=settings.data.name)
        said = [f"data.name={name}", f"data.root={dump_yaml(root)}"]
        changes = [*said, *changes]
    return load_recipe(chosen, overrides=changes)


def find_data(data: str | None, *, before: str) -> tuple[str, str | None]:
    """Name and folder that `--data` stands for.

    Args:
        data: A data set's name, a folder, both as NAME:DIR, or shards: a folder, pattern or URL of
            them; None keeps the name there was.
        before: The name there was. A folder is read as that kind of data, unless it holds shards.

    Raises:
        InputError: Neither a folder nor a name.
    """
    if data is None:
        return before, None
    data = data.removeprefix(f"{SHARDS}:")
    if are_shards(data):
        return SHARDS, normalized(data)
    name, colon, folder = data.partition(":")
    if colon and name in list_datasets():
        if not Path(folder).is_dir():
            raise InputError(f"--data {data}: there is no folder {folder}")
        return name, str(Path(folder).resolve())
    if Path(data).is_dir():
        return kind_of_folder(before), str(Path(data).resolve())
    if data in list_datasets():
        return data, None
    raise InputError(
        f"--data {data}: there is no such folder, and no data set of that name; "
        f"data sets: {', '.join(list_datasets())}. A folder in one of their layouts is NAME:DIR"
    )


def open_evaluation_data(
    model: str,
    data: str | None,
    split: str | None,
    labels: LabelSpec | None,
    *,
    allow_missing: bool = False,
) -> SegmentationDataset:
    """What a model is scored on: `--data`, or the data of the run it comes from.

    Args:
        model: As `load_model` takes it.
        data: `--data`, or None.
        split: `--split`; None for the run's validation split.
        labels: The model's classes: a folder that says nothing is read with them, since it need
            not hold every class.
        allow_missing: `--allow-missing`; a run's own data is read as the run read it.

    Raises:
        InputError: No data is given and the model is not in a run folder.
    """
    from dualseg.export.loading import facts_of

    exported = is_exported(model)
    images = (facts_of(model) if exported else read_facts(find_model(model)[1])).images
    settings = read_run_config(model)
    if settings is None:
        if data is None:
            raise InputError(f"{model} is in no run folder, so say on what to evaluate: --data DIR")
        name, root = find_data(data, before="folder")
        dataset = open_dataset(
            name, root=root, split=split or "val", labels=labels, allow_missing=allow_missing
        )
        return for_network(dataset, images)
    if data is None:
        name, root = settings.data.name, settings.data.root
        allow_missing = allow_missing or settings.data.allow_missing
    else:
        name, root = find_data(data, before=settings.data.name)
    split = split or settings.data.val_split
    dataset = open_dataset(name, root=root, split=split, labels=labels, allow_missing=allow_missing)
    return for_network(dataset, images)


def _sets(override: str, section: str, *keys: str) -> bool:
    """Whether it gives one of these keys of a section."""
    given: Any = parse_override(override).get(section, {})
    return isinstance(given, dict) and any(key in given for key in keys)


def _possible_stride(
    settings: Recipe, overrides: Sequence[str], report: Callable[[str], None]
) -> list[str]:
    """The override that gives the closest output stride, where a backbone is asked for that cannot
    run at the recipe's, which was meant for another one, and no stride is.
    """
    model, preferred = settings.model, settings.model.output_stride
    asks = any(_sets(override, "model", "backbone") for override in overrides)
    insists = any(_sets(override, "model", "output_stride") for override in overrides)
    if preferred is None or model.backbone is None or model.neck == "jpu" or not asks or insists:
        return []
    stride = closest_output_stride(model.backbone, preferred, options=model.backbone_options)
    if stride == preferred:
        return []
    report(f"output stride {stride}: {model.backbone} cannot run at {preferred}, the recipe's")
    return [f"model.output_stride={stride}"]
