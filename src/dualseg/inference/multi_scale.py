"""Test-time augmentation with the image in several sizes."""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from dualseg.core.errors import InputError, nearest
from dualseg.core.geometry import resize_logits, scaled_size
from dualseg.inference.averages import as_logits, as_summands
from dualseg.inference.strategies import LogitsFunction

Fusion = Literal["mean", "max"]
LARGEST_SCALE = 8.0


def multi_scale(
    logits: LogitsFunction, scales: Sequence[float], *, fusion: Fusion = "mean"
) -> LogitsFunction:
    """Asks about the image at each scale and fuses the answers at the image's own size.

    Logits are resized before anything else is done with them.

    Args:
        logits: The strategy that is asked at each scale.
        scales: Of height and width; bilinear, antialiased where the image shrinks.
        fusion: "mean" averages probabilities in fp32; "max" takes the highest raw score of each
            class over the scales.

    Raises:
        InputError: No scale, a scale out of range or given twice, or an unknown fusion.

    Source: "max" is Chen et al. 2017 (DeepLab v2), arXiv:1606.00915, section 4.3.
    """
    require_scales(scales)
    require_fusion(fusion)

    def fused(images: Tensor) -> Tensor:
        size = (images.shape[-2], images.shape[-1])
        total: Tensor | None = None
        for scale in scales:
            answer = resize_logits(logits(_resized(images, scale)).float(), size)
            if fusion == "mean":
                summand = as_summands(answer, "softmax") / len(scales)
                total = summand if total is None else total.add_(summand)
            else:
                total = answer if total is None else torch.maximum(total, answer)
        assert total is not None
        return as_logits(total, "softmax") if fusion == "mean" else total

    return fused


def require_scales(scales: Sequence[float]) -> None:
    """Raises InputError for scales nobody can mean."""
    shown = ", ".join(f"{scale:g}" for scale in scales)
    if not scales:
        raise InputError("no scale is given; give at least one, such as 0.75,1,1.25")
    if not all(math.isfinite(scale) and 0 < scale <= LARGEST_SCALE for scale in scales):
        raise InputError(
            f"scales {shown}: each must lie above 0 and be at most {LARGEST_SCALE:g}, such as "
            "0.75,1,1.25"
        )
    if len(set(scales)) != len(scales):
        raise InputError(f"scales {shown}: a scale stands twice; give each once")


def require_fusion(name: str) -> None:
    """Raises InputError for a name that is no `Fusion`."""
    if name not in get_args(Fusion):
        raise InputError(f"fusion {name!r} is unknown; {nearest(name, get_args(Fusion))}")


def _resized(images: Tensor, scale: float) -> Tensor:
    """The images themselves at scale 1; floats in 0..255 otherwise."""
    size = scaled_size((images.shape[-2], images.shape[-1]), scale)
    if size == tuple(images.shape[-2:]):
        return images
    return F.interpolate(
        images.float(), size=size, mode="bilinear", align_corners=False, antialias=scale < 1
    )
