"""Before a run begins: the data is checked, and the recipe is completed from network and data."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dualseg.config import Recipe
from dualseg.core.errors import InputError
from dualseg.core.processes import ALONE, Processes
from dualseg.data.catalog import Splits
from dualseg.data.checking.checker import check_dataset
from dualseg.data.checking.leaks import describe_leak
from dualseg.data.dataset import images_of
from dualseg.data.faults import DatasetError
from dualseg.data.labels.class_weights import class_weights
from dualseg.data.labels.statistics import dataset_statistics
from dualseg.data.pictures.image_settings import fill_in_mean_std
from dualseg.data.shards.source import in_every_folder
from dualseg.models.entries import ENTRIES, fill_in_defaults
from dualseg.training.objectives.distillation import with_fingerprint
from dualseg.training.optimization.warm_up import shorten_warm_ups
from dualseg.training.plan import create_plan
from dualseg.training.progress import Progress
from dualseg.training.smallest_map import require_two_values

LARGEST_DEFAULT_CROP = 768


def check_data(splits: Splits, progress: Progress) -> None:
    """Both splits must be without fault and speak of the same classes; `progress` hears warnings.

    Raises:
        InputError: They are not; the checker lists every fault of a split. Or a split has no
            labelled pixel.
    """
    train, val = splits.train.labels.class_names, splits.val.labels.class_names
    if train != val:
        raise InputError(
            f"the splits have different classes: train has {', '.join(train)}; "
            f"val has {', '.join(val)}"
        )
    for warning in _meanings_apart(splits):
        progress.message(f"warning: {warning}")
    checked, wrong = [], []
    for dataset in (splits.train, splits.val):
        look = partial(progress.looking, f"checking {dataset.split}")
        try:
            checked.append((dataset, check_dataset(dataset, progress=look)))
        except DatasetError as error:
            wrong.append(error)
    if wrong:
        faults = [fault for error in wrong for fault in error.faults]
        raise DatasetError(" and ".join(e.headline.rstrip(":") for e in wrong) + ":", faults)
    for dataset, summary in checked:
        if not any(summary.pixels_per_class):
            raise InputError(
                f"no pixel of the split {dataset.split!r} has a class: all labels of its "
                f"{summary.num_images} images are ignored; check what its label values mean"
            )
        for warning in summary.warnings:
            progress.message(f"warning: {dataset.split}: {warning}")
    leak = describe_leak(splits.train, splits.val)
    if leak:
        progress.message(f"warning: {leak}")


def _meanings_apart(splits: Splits) -> list[str]:
    """Label values that mean something else in val than in train: of shards in two places, each
    with its own dataset.yaml, that may be right."""
    names = dict(enumerate(splits.train.labels.class_names))
    train, val = (
        {raw: names.get(class_id, "ignored") for raw, class_id in dataset.labels.values.items()}
        for dataset in (splits.train, splits.val)
    )
    return [
        f"label value {raw} is {train[raw]} in {splits.train.split}, but {val[raw]} in "
        f"{splits.val.split}; see the dataset.yaml of each"
        for raw in sorted(set(train) & set(val))
        if train[raw] != val[raw]
    ]


def require_apart(run_folder: Path, root: str | None, splits: Splits) -> None:
    """Refuses a run folder among the files of the data, which is only read.

    Beside the folders of images and labels, in the data set's own, there may be runs.

    Raises:
        InputError: It lies in a folder of images or labels.
    """
    top = Path(root or ".").resolve()
    parents = {
        path.parent
        for dataset in (splits.train, splits.val)
        for index in range(len(dataset))
        for path in (dataset.image_path(index), dataset.label_path(index))
        if path is not None
    }
    folders = {
        folder
        for place in (parent.resolve() for parent in parents)
        for folder in (place, *place.parents)
        if folder != top and (folder == place or folder.is_relative_to(top))
    }
    run = run_folder.resolve()
    for folder in (run, *run.parents):
        if folder in folders:
            raise InputError(
                f"{run_folder} lies among the data, in {folder}, which is only read; use another "
                "--out"
            )


def fill_in(
    recipe: Recipe,
    splits: Splits,
    report: Callable[[str], None],
    *,
    processes: Processes = ALONE,
) -> Recipe:
    """The recipe with what only the network's paper or the data knows: backbone and output stride,
    a crop size, warm-ups that fit the run's length.

    Paths become absolute. `report` hears of warm-ups that were shortened, and of another stride.

    Raises:
        InputError: The data does not fill a batch, or a part of it is too small to train on.
    """
    recipe = fill_in_network(recipe, report)
    size = recipe.data.crop_size or default_crop(recipe, splits)
    data = fill_in_mean_std(recipe.data, images_of(splits.train), report)
    data = data.model_copy(update={"crop_size": size})
    recipe = resolve_paths(recipe.model_copy(update={"data": data}))
    recipe = with_fingerprint(_with_class_weights(recipe, splits))
    num_images = len(splits.train)
    steps_per_epoch = num_images // recipe.training.batch_size
    plan = create_plan(
        recipe.training,
        num_images=num_images,
        steps_per_epoch=steps_per_epoch,
        num_processes=processes.world,
    )
    apart = 1 if recipe.training.sync_batchnorm else processes.world
    require_two_values(recipe, size, num_processes=apart)
    return shorten_warm_ups(recipe, plan.max_steps, report)


def fill_in_network(recipe: Recipe, report: Callable[[str], None] = lambda text: None) -> Recipe:
    """The recipe with the backbone and output stride of the network's paper, where not given.

    `report` hears of a stride that is not the paper's, since the backbone cannot run at that.

    Raises:
        InputError: There is no such network.
    """
    settings = recipe.model
    backbone, output_stride = fill_in_defaults(
        settings.name,
        settings.backbone,
        settings.output_stride,
        neck=settings.neck,
        backbone_options=settings.backbone_options,
    )
    papers = ENTRIES[settings.name].output_stride
    if settings.output_stride is None and settings.neck != "jpu" and output_stride != papers:
        report(
            f"output stride {output_stride}: {backbone} cannot run at {papers}, {settings.name}'s"
        )
    update = {"backbone": backbone, "output_stride": output_stride}
    return recipe.model_copy(update={"model": settings.model_copy(update=update)})


def _with_class_weights(recipe: Recipe, splits: Splits) -> Recipe:
    """The recipe with numbers in the place of a rule, counted on the raw training labels."""
    rule = recipe.loss.class_weights
    if not isinstance(rule, str):
        return recipe
    counts = dataset_statistics(splits.train).pixels_per_class
    update = {"class_weights": class_weights(counts, rule)}
    return recipe.model_copy(update={"loss": recipe.loss.model_copy(update=update)})


def resolve_paths(recipe: Recipe) -> Recipe:
    """The recipe with absolute paths, for a run that may be resumed from another folder.

    What does not exist stays as it is, for the message that says so. Links in the path of weights
    are kept, since a run's `best` is one. A cache folder and MLflow's are made where missing, so
    they become absolute in any case.
    """
    root, initial = recipe.data.root, recipe.training.init_weights
    pretrained, teacher = recipe.model.pretrained, recipe.distillation.teacher
    cache_dir, mlflow_uri = recipe.data.cache_dir, recipe.tracking.mlflow_uri
    if root is not None:
        root = str(Path(root).resolve()) if Path(root).exists() else in_every_folder(root)
    if initial is not None and Path(initial).exists():
        initial = os.path.abspath(initial)
    if isinstance(pretrained, str) and Path(pretrained).exists():
        pretrained = os.path.abspath(pretrained)
    if teacher is not None and Path(teacher).exists():
        teacher = os.path.abspath(teacher)
    if cache_dir is not None:
        cache_dir = os.path.abspath(cache_dir)
    if mlflow_uri is not None:
        mlflow_uri = _from_the_root(mlflow_uri)
    return recipe.model_copy(
        update={
            "data": recipe.data.model_copy(
                update={
                    "root": root,
                    "train_split": in_every_folder(recipe.data.train_split),
                    "val_split": in_every_folder(recipe.data.val_split),
                    "cache_dir": cache_dir,
                }
            ),
            "training": recipe.training.model_copy(update={"init_weights": initial}),
            "model": recipe.model.model_copy(update={"pretrained": pretrained}),
            "distillation": recipe.distillation.model_copy(update={"teacher": teacher}),
            "tracking": recipe.tracking.model_copy(update={"mlflow_uri": mlflow_uri}),
        }
    )


def _from_the_root(uri: str) -> str:
    """A folder, its `file:` address or an SQLite file with an absolute path; a server as it is."""
    for scheme in ("sqlite:///", "file:"):
        path = uri.removeprefix(scheme)
        if path != uri and not path.startswith("/"):
            return scheme + os.path.abspath(path)
    is_folder = ":" not in uri and uri != "databricks"
    return os.path.abspath(uri) if is_folder else uri


def default_crop(recipe: Recipe, splits: Splits) -> tuple[int, int]:
    """The first image's size, at most 768, cut to a multiple of the deepest feature's stride."""
    shape = splits.train.image(0).shape[:2]
    height, width = (round(side * recipe.data.base_scale) for side in shape)
    output_stride = recipe.model.output_stride
    assert output_stride is not None, "fill_in knows it"
    unit = round(output_stride / recipe.data.input_scale)
    sides = [max(unit, min(side, LARGEST_DEFAULT_CROP) // unit * unit) for side in (height, width)]
    return sides[0], sides[1]
