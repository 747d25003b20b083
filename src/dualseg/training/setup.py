"""Puts the parts of a run together, and fills them from a checkpoint."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import dualseg
from dualseg.checkpoints.model_files import load_weights
from dualseg.checkpoints.store import Checkpoint, CheckpointStore
from dualseg.checkpoints.training_state import Position, TrainingState
from dualseg.config import Recipe, TrainingSettings
from dualseg.core.facts import ModelFacts
from dualseg.core.processes import ALONE, Processes
from dualseg.data.catalog import Splits
from dualseg.data.dataset import images_of
from dualseg.data.loading.loaders import BatchSource, TrainLoader
from dualseg.data.loading.resident import ResidentLoader
from dualseg.data.loading.sampling import rare_class_weights
from dualseg.evaluation.evaluate import evaluate
from dualseg.inference.strategies import Precision
from dualseg.training.early_stopping import EarlyStopping
from dualseg.training.environment import (
    choose_device,
    describe_environment,
    require_precision,
)
from dualseg.training.loop import Evaluate, StopEvaluation, TrainingLoop
from dualseg.training.loop_state import loop_tensors, restore_loop
from dualseg.training.network import Network, network_to_train
from dualseg.training.objectives.distillation import load_teacher
from dualseg.training.objectives.objective import create_objective, num_auxiliary_heads
from dualseg.training.optimization.ema import WeightAverage
from dualseg.training.optimization.freezing import freeze
from dualseg.training.optimization.optimizers import (
    create_optimizer,
    num_moments,
    optimizer_tensors,
    restore_optimizer,
)
from dualseg.training.optimization.schedules import lr_factor_of
from dualseg.training.plan import create_plan, run_length
from dualseg.training.progress import Progress
from dualseg.training.records.history import History
from dualseg.training.records.trackers.draw import draw_network
from dualseg.training.records.trackers.tracker import TrackedRun
from dualseg.training.records.trackers.trackers import Trackers, create_trackers
from dualseg.training.shared_evaluation import evaluate_together
from dualseg.training.step import TrainingStep

RAW_WEIGHTS = "weights/"


def assemble(
    recipe: Recipe,
    run_folder: Path,
    splits: Splits,
    model: Network,
    *,
    position: Position,
    store: CheckpointStore,
    progress: Progress,
    processes: Processes = ALONE,
) -> TrainingLoop:
    """A loop that is ready to run. Nothing is written yet.

    Raises:
        InputError: The data does not fill a batch, the device is not there or does not know the
            precision, a part of the network that the recipe names is not there, or a tracker's
            package is not installed.
    """
    training = recipe.training
    device = choose_device(recipe.runtime.device, processes)
    require_precision(training.precision, device)
    objective = create_objective(
        recipe,
        splits.train.labels,
        teacher=load_teacher(recipe, splits.train.labels, device, images=images_of(splits.train)),
        num_auxiliary=num_auxiliary_heads(model),
    )
    model.to(device)
    if training.channels_last:
        model.to(memory_format=torch.channels_last)
    freeze(model, training)
    average = WeightAverage(model, training.ema_decay) if training.ema_decay else None
    optimizer = create_optimizer(model, training)
    loader = _create_loader(recipe, splits, device, processes)
    plan = create_plan(
        training,
        num_images=len(splits.train),
        steps_per_epoch=loader.steps_per_epoch,
        num_processes=processes.world,
    )
    position.max_steps = plan.max_steps
    take_step = TrainingStep(
        model,
        objective,
        optimizer,
        lr_factor=partial(lr_factor_of, training, max_steps=plan.max_steps),
        data=recipe.data,
        training=training,
        device=device,
        seed=recipe.seed,
        processes=processes,
        network=network_to_train(model, recipe, device, processes),
    )
    facts = _facts(recipe, splits, model)
    environment = describe_environment(recipe, device, processes)
    trackers = _trackers(recipe, run_folder, position, progress, processes)

    def describe(position: Position) -> TrainingState:
        tensors = optimizer_tensors(optimizer, model) | loop_tensors(loop)
        if average is not None:
            tensors |= {RAW_WEIGHTS + name: value for name, value in model.state_dict().items()}
        return TrainingState(position, recipe.model_dump(mode="json"), environment, tensors)

    loop = TrainingLoop(
        plan=plan,
        position=position,
        model=model,
        average=average,
        take_step=take_step,
        loader=loader,
        evaluate=_create_evaluate(recipe, splits, facts, device, processes),
        facts=facts,
        describe=describe,
        store=store,
        history=History(run_folder),
        trackers=trackers,
        progress=progress,
        processes=processes,
        draw=partial(
            draw_network,
            trackers=trackers,
            settings=recipe.tracking,
            dataset=splits.val,
            facts=facts,
            precision=_precision_of_scores(recipe),
        ),
        stopping=EarlyStopping(training.patience, training.min_delta),
        max_skipped=training.max_skipped_steps,
    )
    return loop


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
    before = TrainingSettings.model_validate(state.recipe["training"])
    planned_before = run_length(before, loop.plan.steps_per_epoch)
    restore_loop(loop, state.tensors, planned_before=planned_before)
    loop.unsaved = False


def checkpoint_bytes(loop: TrainingLoop) -> int:
    """About what one checkpoint will take: weights, optimiser state, and the average."""
    weights = sum(t.numel() * t.element_size() for t in loop.model.state_dict().values())
    trainable = sum(
        p.numel() * p.element_size() for p in loop.model.parameters() if p.requires_grad
    )
    moments = num_moments(loop.take_step.training)
    return weights * (2 if loop.average is not None else 1) + trainable * moments


def _trackers(
    recipe: Recipe,
    run_folder: Path,
    position: Position,
    progress: Progress,
    processes: Processes,
) -> Trackers:
    """Those the recipe names in the first process, none in the others."""
    if not processes.is_first:
        return Trackers({}, report=progress.message)
    run = TrackedRun(
        run_folder,
        first_step=position.step + 1,
        project=recipe.tracking.project,
        name=recipe.tracking.name or run_folder.resolve().name,
        recipe=recipe.model_dump(mode="json"),
    )
    return create_trackers(recipe.tracking, run, report=progress.message)


def _precision_of_scores(recipe: Recipe) -> Precision:
    return "fp32" if recipe.training.precision == "fp32" else "bf16"


def _create_loader(
    recipe: Recipe, splits: Splits, device: torch.device, processes: Processes
) -> BatchSource:
    data = recipe.data
    assert data.crop_size is not None, "fill_in gives every recipe a crop size"
    weights = None
    if data.sampling == "rare_classes":
        weights = rare_class_weights(splits.train, temperature=data.sampling_temperature)
    low, high = data.scale_range
    if data.resident:
        load = partial(ResidentLoader, device=device)
    else:
        load = partial(TrainLoader, num_workers=recipe.training.num_workers)
    return load(
        splits.train,
        crop_size=data.crop_size,
        scale_range=(low * data.base_scale, high * data.base_scale),
        flip=data.flip,
        photometric=data.photometric,
        batch_size=recipe.training.batch_size,
        seed=recipe.seed,
        class_balance=data.class_balance,
        image_weights=weights,
        rank=processes.rank,
        world=processes.world,
    )


def _create_evaluate(
    recipe: Recipe,
    splits: Splits,
    facts: ModelFacts,
    device: torch.device,
    processes: Processes,
) -> Evaluate:
    precision = _precision_of_scores(recipe)

    def score(network: nn.Module, watch: Callable[[int, int], None]) -> dict[str, Any]:
        if processes.are_many:
            return evaluate_together(
                network,
                splits.val,
                processes,
                facts=facts,
                device=device,
                precision=precision,
                progress=watch,
                stopped=StopEvaluation,
            ).to_dict()
        evaluation = evaluate(
            network,
            splits.val,
            facts=facts,
            device=str(device),
            precision=precision,
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
        input_scale=recipe.data.base_scale * recipe.data.input_scale,
        training_size=recipe.data.crop_size,
        source=f"trained by dualseg {dualseg.__version__}",
        images=images_of(splits.train),
    )
    model.facts = facts
    return facts
