"""A run's network: at its start, and in the form that a step calls."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from dualseg.checkpoints.initial_weights import load_initial_weights
from dualseg.config import Recipe
from dualseg.core.facts import ModelFacts
from dualseg.core.image_spec import ImageSpec
from dualseg.core.processes import Processes
from dualseg.data.catalog import Splits
from dualseg.data.dataset import images_of
from dualseg.models.catalog import create_model
from dualseg.models.dsrl.model import DsrlModel
from dualseg.models.segmentation import SegmentationModel
from dualseg.training.optimization.activation_checkpoints import checkpoint_activations
from dualseg.training.optimization.gradients import share_gradients
from dualseg.training.optimization.synced_batch_norm import synchronize_batch_norm

PARTS_THAT_MAY_BE_NEW = ("sisr_decoder.", "ftm.", "auxiliary_heads.", "host.auxiliary_heads.")
ROUNDING = 1e-3  # of a mean; a quarter of a gray level

Setting = float | tuple[float, ...] | None
Network = SegmentationModel | DsrlModel


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
        report: Is told about initial weights: what is new, whose classes they were made for, and
            whether for other input.

    Raises:
        InputError: The recipe names no network that can be, or initial weights do not fit it.
    """
    torch.manual_seed(recipe.seed)
    settings, initial = recipe.model, recipe.training.init_weights
    model = create_model(
        **architecture_of(
            recipe,
            num_classes=splits.train.labels.num_classes,
            in_channels=images_of(splits.train).num_channels,
        ),
        pretrained=False if restoring else settings.pretrained,
    )
    if initial and not restoring:
        start = load_initial_weights(
            model, initial, labels=splits.train.labels, may_be_new=PARTS_THAT_MAY_BE_NEW
        )
        if report:
            new = len(start.new_tensors)
            report(f"weights from {initial}; {new} tensors of new parts start at random")
            if start.about_classes:
                report(f"warning: {initial}: {start.about_classes}")
            apart = _other_input(start.facts, recipe, images_of(splits.train))
            if apart:
                report(
                    f"warning: {initial} was trained on other input than this run's: "
                    f"{'; '.join(apart)}; what it knows of images may not hold for these"
                )
    return model


def architecture_of(recipe: Recipe, *, num_classes: int, in_channels: int = 3) -> dict[str, Any]:
    """What `create_model` is given for a recipe's network, but for its weights.

    Args:
        recipe: What to build.
        num_classes: Of the data.
        in_channels: Bands of its images.
    """
    settings = recipe.model
    return {
        "name": settings.name,
        "num_classes": num_classes,
        "in_channels": in_channels,
        "backbone": settings.backbone,
        "output_stride": settings.output_stride,
        "stem": settings.stem,
        "first_block": settings.first_block,
        "multi_grid": settings.multi_grid,
        "backbone_options": settings.backbone_options,
        "atrous_rates": settings.atrous_rates,
        "head_variant": settings.head_variant,
        "head_options": settings.head_options,
        "oc": settings.oc,
        "neck": settings.neck,
        "align_corners": settings.align_corners,
        "auxiliary": settings.auxiliary,
        "auxiliary_channels": settings.auxiliary_channels,
        "auxiliary_activation": settings.auxiliary_activation,
        "dsrl": recipe.dsrl.architecture if recipe.dsrl.enabled else False,
    }


def _other_input(facts: ModelFacts, recipe: Recipe, images: ImageSpec) -> list[str]:
    """What the network that gave its weights saw otherwise, name by name."""
    pairs = [
        ("mean", facts.mean, recipe.data.mean),
        ("std", facts.std, recipe.data.std),
        ("channels", facts.images.channels, images.channels),
        ("min_value", facts.images.min_value, images.min_value),
        ("max_value", facts.images.max_value, images.max_value),
    ]
    return [
        f"{name} was {_shown(theirs)}, is {_shown(ours)}"
        for name, theirs, ours in pairs
        if not _is_same(theirs, ours)
    ]


def _is_same(theirs: Setting, ours: Setting) -> bool:
    """Means that differ by rounding alone, such as 123.675 / 255, are the same."""
    if isinstance(theirs, tuple) and isinstance(ours, tuple) and len(theirs) == len(ours):
        return all(abs(a - b) < ROUNDING for a, b in zip(theirs, ours, strict=True))
    return theirs == ours


def _shown(value: Setting) -> str:
    return str([round(number, 4) for number in value] if isinstance(value, tuple) else value)


def network_to_train(
    model: Network, recipe: Recipe, device: torch.device, processes: Processes
) -> nn.Module:
    """The network as a step calls it: same weights, but recomputed, shared or compiled."""
    training = recipe.training
    if processes.are_many and training.sync_batchnorm:
        synchronize_batch_norm(model)
    if training.checkpoint_activations:
        host = model.host if isinstance(model, DsrlModel) else model
        checkpoint_activations(host.backbone, in_channels=model.architecture["in_channels"])
    network: nn.Module = model
    if training.compile:
        network = torch.compile(network)  # type: ignore[assignment]
    return share_gradients(network, device) if processes.are_many else network
