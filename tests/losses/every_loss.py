"""All losses over labels, each as a function of (logits, target), for properties they share."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from dualseg.losses.bootstrapped import bootstrapped_cross_entropy
from dualseg.losses.boundary import boundary_loss
from dualseg.losses.cross_entropy import cross_entropy
from dualseg.losses.distillation import distillation_loss
from dualseg.losses.focal import focal_loss
from dualseg.losses.lovasz import lovasz_softmax
from dualseg.losses.ohem import ohem_cross_entropy
from dualseg.losses.tversky import dice_loss, tversky_loss

LabelLoss = Callable[..., Tensor]


def _weighted(logits: Tensor, target: Tensor, **options: float) -> Tensor:
    weights = torch.linspace(0.5, 2.0, logits.shape[1])
    return cross_entropy(logits, target, class_weights=weights, label_smoothing=0.1, **options)


def _weighted_ohem(logits: Tensor, target: Tensor, **options: float) -> Tensor:
    weights = torch.linspace(0.5, 2.0, logits.shape[1])
    return ohem_cross_entropy(logits, target, min_kept=5, class_weights=weights, **options)


def _distillation(logits: Tensor, target: Tensor, **options: float) -> Tensor:
    """The teacher is sure of class 0 everywhere."""
    teacher = torch.zeros_like(logits)
    teacher[:, 0] = 3.0
    return distillation_loss(logits, teacher, target, temperature=2.0, **options)


EVERY_LOSS: dict[str, LabelLoss] = {
    "cross_entropy": cross_entropy,
    "weighted and smoothed": _weighted,
    "ohem": partial(ohem_cross_entropy, min_kept=7),
    "weighted ohem": _weighted_ohem,
    "bootstrapped": bootstrapped_cross_entropy,
    "focal": focal_loss,
    "focal below one": partial(focal_loss, gamma=0.5),
    "lovasz": lovasz_softmax,
    "lovasz, all classes": partial(lovasz_softmax, classes="all"),
    "lovasz, per image": partial(lovasz_softmax, per_image=True),
    "dice": dice_loss,
    "tversky": partial(tversky_loss, alpha=0.3, beta=0.7),
    "boundary": boundary_loss,
    "distillation": _distillation,
}

ADD_UP = (
    "cross_entropy",
    "weighted and smoothed",
    "focal",
    "focal below one",
    "boundary",
    "distillation",
)
"""Means over pixels: the parts of a batch add up to the batch."""

WEIGHED_BY_PIXELS = ("ohem", "weighted ohem", "bootstrapped", "lovasz", "dice", "tversky")
"""The others, but `lovasz, per image`, which adds up by images."""
