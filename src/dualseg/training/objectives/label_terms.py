"""From the names in a recipe to losses over the labels."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from torch import Tensor

from dualseg.config import LossSettings
from dualseg.losses.bootstrapped import bootstrapped_cross_entropy
from dualseg.losses.boundary import boundary_loss
from dualseg.losses.cross_entropy import cross_entropy
from dualseg.losses.focal import focal_loss
from dualseg.losses.lovasz import Classes, lovasz_softmax
from dualseg.losses.ohem import ohem_cross_entropy
from dualseg.losses.slices import count_valid
from dualseg.losses.tversky import dice_loss, tversky_loss

DEFAULT_KEPT_SHARE = 1 / 16  # of the valid pixels, for OHEM


class Labelled(NamedTuple):
    """What a term is computed from: a batch or a part of it.

    Attributes:
        logits: (B, K, H, W).
        target: (B, H, W).
        num_valid: Valid pixels of the whole batch.
        share: This part's images divided by the whole batch's.
        ignore_index: Id of pixels that do not count.
    """

    logits: Tensor
    target: Tensor
    num_valid: float
    share: float
    ignore_index: int


class LabelTerm(NamedTuple):
    """A loss and its weight."""

    weight: float
    loss: Callable[[Labelled], Tensor]


def create_label_terms(
    weights: Mapping[str, float],
    settings: LossSettings,
    *,
    class_weights: Tensor | None,
) -> dict[str, LabelTerm]:
    """The terms of a recipe by name, in its order.

    Args:
        weights: Name -> weight; `loss.terms`, or `loss.auxiliary_terms`.
        settings: The terms' options.
        class_weights: (K,), for the terms that weigh classes.
    """
    losses: dict[str, Callable[[Labelled], Tensor]] = {
        "cross_entropy": partial(
            _cross_entropy,
            class_weights=class_weights,
            label_smoothing=settings.label_smoothing,
        ),
        "ohem": partial(
            _ohem,
            class_weights=class_weights,
            threshold=settings.ohem.threshold,
            min_kept=settings.ohem.min_kept,
        ),
        "bootstrapped": partial(
            _bootstrapped,
            class_weights=class_weights,
            kept_share=settings.bootstrapped.kept_share,
        ),
        "focal": partial(
            _focal,
            class_weights=class_weights,
            gamma=settings.focal.gamma,
        ),
        "lovasz": partial(
            _lovasz,
            classes=settings.lovasz.classes,
            per_image=settings.lovasz.per_image,
        ),
        "dice": _dice,
        "tversky": partial(
            _tversky,
            alpha=settings.tversky.alpha,
            beta=settings.tversky.beta,
        ),
        "boundary": _boundary,
    }
    return {name: LabelTerm(weight, losses[name]) for name, weight in weights.items()}


def _cross_entropy(
    batch: Labelled, *, class_weights: Tensor | None, label_smoothing: float
) -> Tensor:
    return cross_entropy(
        batch.logits,
        batch.target,
        ignore_index=batch.ignore_index,
        num_valid=batch.num_valid,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
    )


def _ohem(
    batch: Labelled,
    *,
    class_weights: Tensor | None,
    threshold: float,
    min_kept: int | None,
) -> Tensor:
    """`min_kept` is meant for the whole batch; a part keeps its share of it."""
    if min_kept is None:
        least = round(DEFAULT_KEPT_SHARE * count_valid(batch.target, batch.ignore_index))
    else:
        least = round(min_kept * batch.share)
    return ohem_cross_entropy(
        batch.logits,
        batch.target,
        threshold=threshold,
        min_kept=least,
        ignore_index=batch.ignore_index,
        num_valid=batch.num_valid,
        class_weights=class_weights,
    )


def _bootstrapped(batch: Labelled, *, class_weights: Tensor | None, kept_share: float) -> Tensor:
    return bootstrapped_cross_entropy(
        batch.logits,
        batch.target,
        kept_share=kept_share,
        ignore_index=batch.ignore_index,
        num_valid=batch.num_valid,
        class_weights=class_weights,
    )


def _focal(batch: Labelled, *, class_weights: Tensor | None, gamma: float) -> Tensor:
    return focal_loss(
        batch.logits,
        batch.target,
        gamma=gamma,
        ignore_index=batch.ignore_index,
        num_valid=batch.num_valid,
        class_weights=class_weights,
    )


def _lovasz(batch: Labelled, *, classes: Classes, per_image: bool) -> Tensor:
    return lovasz_softmax(
        batch.logits,
        batch.target,
        classes=classes,
        per_image=per_image,
        ignore_index=batch.ignore_index,
        num_valid=batch.num_valid,
        num_images=len(batch.logits) / batch.share,
    )


def _dice(batch: Labelled) -> Tensor:
    return dice_loss(
        batch.logits, batch.target, ignore_index=batch.ignore_index, num_valid=batch.num_valid
    )


def _tversky(batch: Labelled, *, alpha: float, beta: float) -> Tensor:
    return tversky_loss(
        batch.logits,
        batch.target,
        alpha=alpha,
        beta=beta,
        ignore_index=batch.ignore_index,
        num_valid=batch.num_valid,
    )


def _boundary(batch: Labelled) -> Tensor:
    return boundary_loss(
        batch.logits, batch.target, ignore_index=batch.ignore_index, num_valid=batch.num_valid
    )
