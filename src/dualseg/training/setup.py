"""Puts the parts of a run together, and fills them from a checkpoint."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import dualseg
from dualseg.checkpoints.initial_weights import load_initial_weights
from dualseg.checkpoints.model_files import load_weights
from dualseg.checkpoints.store import Checkpoint, CheckpointStore
from dualseg.checkpoints.training_state import Position, TrainingState
from dualseg.config import Recipe
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.data.catalog import Splits
from dualseg.data.checker import check_dataset
from dualseg.data.leaks import describe_leak
from dualseg.data.loaders import TrainLoader
from dualseg.data.sampling import rare_class_weights
from dualseg.evaluation.evaluate import evaluate
from dualseg.models.catalog import create_model
from dualseg.models.dsrl.model import DsrlModel
from dualseg.models.entries import fill_in_defaults
from dualseg.models.segmentation import SegmentationModel
from dualseg.training.ema import WeightAverage
from dualseg.training.environment import choose_device, describe_environment
from dualseg.training.event_writer import EventWriter
from dualseg.training.history import History
from dualseg.training.loop import Evaluate, TrainingLoop
from dualseg.training.objective import create_objective
from dualseg.training.optimizers import create_optimizer, optimizer_tensors, restore_optimizer
from dualseg.training.plan import create_plan
from dualseg.training.progress import Progress
from dualseg.training.run_folder import TENSORBOARD_FOLDER
from dualseg.training.schedules import lr_factor
from dualseg.training.smallest_map import require_two_values
from dualseg.training.step import TrainingStep
from dualseg.training.warm_up import shorten_warm_ups

LARGEST_DEFAULT_CROP = 768
PARTS_THAT_MAY_BE_NEW = ("sisr_decoder.", "ftm.", "auxiliary_heads.", "host.auxiliary_heads.")
RAW_WEIGHTS = "weights/"

Network = SegmentationModel | DsrlModel


def check_data(splits: Splits, report: Callable[[str], None]) -> None:
    """Both splits must be without fault and speak of the same classes; `report` hears warnings.

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
    for dataset in (splits.train, splits.val):
        summary = check_dataset(dataset)
        if not any(summary.pixels_per_class):
            raise InputError(
                f"no pixel of the split {dataset.split!r} has a class: all labels of its "
                f"{summary.num_images} images are ignored; check what its label values mean"
            )
        for warning in summary.warnings:
            report(f"warning: {dataset.split}: {warning}")
    leak = describe_leak(splits.train, splits.val)
    if leak:
        report(f"warning: {leak}")


def fill_in(recipe: Recipe, splits: Splits, report: Callable[[str], None]) -> Recipe:
    """The recipe with what only the network's paper or the data knows: backbone and output stride,
    a crop size, warm-ups that fit the run's length.

    Paths become absolute. `report` hears of warm-ups that were shortened.

    Raises:
        InputError: The data does not fill a batch, or a part of it is too small to train on.
    """
    recipe = _fill_in_network(recipe)
    size = recipe.data.crop_size or _default_crop(recipe, splits)
    data = recipe.data.model_copy(update={"crop_size": size})
    recipe = resolve_paths(recipe.model_copy(update={"data": data}))
    num_images = len(splits.train)
    steps_per_epoch = num_images // recipe.training.batch_size
    plan = create_plan(recipe.training, num_images=num_images, steps_per_epoch=steps_per_epoch)
    require_two_values(recipe, size)
    return shorten_warm_ups(recipe, plan.max_steps, report)


def _fill_in_network(recipe: Recipe) -> Recipe:
    settings = recipe.model
    backbone, output_stride = fill_in_defaults(
        settings.name, settings.backbone, settings.output_stride, neck=settings.neck
    )
    update = {"backbone": backbone, "output_stride": output_stride}
    return recipe.model_copy(update={"model": settings.model_copy(update=update)})


def resolve_paths(recipe: Recipe) -> Recipe:
    """The recipe with absolute paths, for a run that may be resumed from another folder.

    What does not exist stays as it is, for the message that says so. Links in the path of weights
    are kept, since a run's `best` is one.
    """
    root, initial = recipe.data.root, recipe.training.init_weights
    pretrained = recipe.model.pretrained
    if root is not None and Path(root).exists():
        root = str(Path(root).resolve())
    if initial is not None and Path(initial).exists():
        initial = os.path.abspath(initial)
    if isinstance(pretrained, str) and Path(pretrained).exists():
        pretrained = os.path.abspath(pretrained)
    return recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"root": root}),
            "training": recipe.training.model_copy(update={"init_weights": initial}),
            "model": recipe.model.model_copy(update={"pretrained": pretrained}),
        }
    )


def start_network(
    recipe: Recipe,
    splits: Splits,
    *,
    restoring: bool = False,
    report: Callable[[str], None] | None = None,
) -> Network:
    """The recipe's network at its start; the same bits for the same seed.

    Args:
        recipe: What to build.
        splits: Name the classes.
        restoring: A checkpoint will fill it, so no pretrained and no initial weights are looked
            for.
        report: Is told about initial weights.
    """
    torch.manual_seed(recipe.seed)
    settings, initial = recipe.model, recipe.training.init_weights
    model = create_model(
        settings.name,
        num_classes=splits.train.labels.num_classes,
        backbone=settings.backbone,
        output_stride=settings.output_stride,
        stem=settings.stem,
        first_block=settings.first_block,
        multi_grid=settings.multi_grid,
        backbone_options=settings.backbone_options,
        atrous_rates=settings.atrous_rates,
        head_variant=settings.head_variant,
        head_options=settings.head_options,
        oc=settings.oc,
        neck=settings.neck,
        align_corners=settings.align_corners,
        pretrained=False if restoring else settings.pretrained,
        auxiliary=settings.auxiliary,
        auxiliary_channels=settings.auxiliary_channels,
        auxiliary_activation=settings.auxiliary_activation,
        dsrl=recipe.dsrl.architecture if recipe.dsrl.enabled else False,
    )
    if initial and not restoring:
        new = load_initial_weights(model, initial, may_be_new=PARTS_THAT_MAY_BE_NEW)
        if report:
            report(f"weights from {initial}; {len(new)} tensors of new parts start at random")
    return model


def assemble(
    recipe: Recipe,
    run_folder: Path,
    splits: Splits,
    model: Network,
    *,
    position: Position,
    store: CheckpointStore,
    progress: Progress,
) -> TrainingLoop:
    """A loop that is ready to run. Nothing is written yet.

    Raises:
        InputError: The data does not fill a batch, or the device is not there.
    """
    device = choose_device(recipe.runtime.device)
    model.to(device)
    if recipe.training.channels_last:
        model.to(memory_format=torch.channels_last)
    decay = recipe.training.ema_decay
    average = WeightAverage(model, decay) if decay is not None else None
    optimizer = create_optimizer(model, recipe.training)
    loader = _create_loader(recipe, splits)
    plan = create_plan(
        recipe.training, num_images=len(splits.train), steps_per_epoch=loader.steps_per_epoch
    )
    position.max_steps = plan.max_steps
    factor = partial(
        lr_factor,
        max_steps=plan.max_steps,
        schedule=recipe.training.schedule,
        power=recipe.training.poly_power,
        warmup_steps=recipe.training.warmup_steps,
        warmup_factor=recipe.training.warmup_factor,
    )
    take_step = TrainingStep(
        model,
        create_objective(recipe, splits.train.labels),
        optimizer,
        lr_factor=factor,
        data=recipe.data,
        training=recipe.training,
        device=device,
        seed=recipe.seed,
    )
    facts = _facts(recipe, splits, model)
    environment = describe_environment(recipe, device)

    def describe(position: Position) -> TrainingState:
        tensors = optimizer_tensors(optimizer, model)
        if average is not None:
            tensors |= {RAW_WEIGHTS + name: value for name, value in model.state_dict().items()}
        return TrainingState(position, recipe.model_dump(mode="json"), environment, tensors)

    return TrainingLoop(
        plan=plan,
        position=position,
        model=model,
        average=average,
        take_step=take_step,
        loader=loader,
        evaluate=_create_evaluate(recipe, splits, facts, device),
        facts=facts,
        describe=describe,
        store=store,
        history=History(run_folder),
        events=EventWriter(
            run_folder / TENSORBOARD_FOLDER,
            purge_step=position.step + 1,
            report=progress.message,
        ),
        progress=progress,
    )


def restore(loop: TrainingLoop, checkpoint: Checkpoint, state: TrainingState) -> None:
    """Fills network, average and optimiser from a checkpoint.

    Raises:
        InputError: Its tensors do not fit.
    """
    weights, origin = checkpoint.weights(), str(checkpoint.folder)
    if loop.average is not None:
        load_weights(loop.average.model, weights, origin=origin)
        weights = {
            name.removeprefix(RAW_WEIGHTS): value
            for name, value in state.tensors.items()
            if name.startswith(RAW_WEIGHTS)
        }
    load_weights(loop.model, weights, origin=origin)
    restore_optimizer(loop.take_step.optimizer, loop.model, state.tensors)
    loop.unsaved = False


def checkpoint_bytes(loop: TrainingLoop) -> int:
    """About what one checkpoint will take: weights, optimiser state, and the average."""
    weights = sum(t.numel() * t.element_size() for t in loop.model.state_dict().values())
    trainable = sum(
        p.numel() * p.element_size() for p in loop.model.parameters() if p.requires_grad
    )
    moments = 2 if isinstance(loop.take_step.optimizer, torch.optim.AdamW) else 1
    return weights * (2 if loop.average is not None else 1) + trainable * moments


def _create_loader(recipe: Recipe, splits: Splits) -> TrainLoader:
    data = recipe.data
    assert data.crop_size is not None, "fill_in gives every recipe a crop size"
    weights = None
    if data.sampling == "rare_classes":
        weights = rare_class_weights(splits.train, temperature=data.sampling_temperature)
    return TrainLoader(
        splits.train,
        crop_size=data.crop_size,
        scale_range=data.scale_range,
        flip=data.flip,
        photometric=data.photometric,
        batch_size=recipe.training.batch_size,
        seed=recipe.seed,
        num_workers=recipe.training.num_workers,
        class_balance=data.class_balance,
        image_weights=weights,
    )


def _create_evaluate(
    recipe: Recipe, splits: Splits, facts: ModelFacts, device: torch.device
) -> Evaluate:
    def score(network: nn.Module, watch: Callable[[int, int], None]) -> dict[str, Any]:
        evaluation = evaluate(
            network,
            splits.val,
            facts=facts,
            device=str(device),
            precision=recipe.training.precision,
            progress=watch,
        )
        return evaluation.to_dict()

    return score


def _facts(recipe: Recipe, splits: Splits, model: Network) -> ModelFacts:
    facts = ModelFacts(
        architecture=model.architecture,
        labels=splits.train.labels,
        mean=recipe.data.mean,
        std=recipe.data.std,
        input_scale=recipe.data.input_scale,
        training_size=recipe.data.crop_size,
        source=f"trained by dualseg {dualseg.__version__}",
    )
    model.facts = facts
    return facts


def _default_crop(recipe: Recipe, splits: Splits) -> tuple[int, int]:
    """The first image's size, at most 768, cut to a multiple of the deepest feature's stride."""
    height, width = splits.train.image(0).shape[:2]
    output_stride = recipe.model.output_stride
    assert output_stride is not None, "fill_in knows it"
    unit = round(output_stride / recipe.data.input_scale)
    sides = [max(unit, min(side, LARGEST_DEFAULT_CROP) // unit * unit) for side in (height, width)]
    return sides[0], sides[1]
