"""Batch norm in training needs two values a channel: two images, or a map of two positions."""

import math

from dualseg.config import Recipe
from dualseg.core.errors import InputError
from dualseg.core.geometry import Size, scaled_size


def require_two_values(recipe: Recipe, crop_size: Size, *, num_processes: int = 1) -> None:
    """Refuses single images whose deepest or compared map has a single position.

    Args:
        recipe: What is trained, with its output stride filled in.
        crop_size: (height, width) of the training crop, before the shrink.
        num_processes: Processes that share a batch, each with batch norms of its own; 1 where they
            are synchronised.

    Raises:
        InputError: Says which crop size, or which batch, would do.
    """
    training, scale = recipe.training, recipe.data.input_scale
    if training.batch_size // training.accumulate_steps // num_processes != 1:
        return
    strides = {"deepest feature": float(recipe.model.output_stride or 0)}
    if recipe.dsrl.enabled and recipe.dsrl.stage == 3:
        strides["map of the feature affinity"] = recipe.dsrl.affinity_subsampling / 2
    input_size = scaled_size(crop_size, scale)
    single = [name for name, stride in strides.items() if max(input_size) <= stride]
    if not single:
        return
    side = 2 * math.ceil(max(strides.values()) / scale)
    parts = training.accumulate_steps * num_processes
    raise InputError(
        f"data.crop_size {crop_size[0]}x{crop_size[1]} leaves a single position in the "
        f"{' and the '.join(single)}, and the network is given one image at a time "
        f"(training.batch_size {training.batch_size}, training.accumulate_steps "
        f"{training.accumulate_steps}, processes {num_processes}), so batch "
        f"norm has one value a channel. Use data.crop_size=[{side},{side}], or "
        f"training.batch_size={2 * parts}"
        + (", or training.accumulate_steps=1" if training.accumulate_steps > 1 else "")
        + (", or training.sync_batchnorm=true" if num_processes > 1 else "")
    )
