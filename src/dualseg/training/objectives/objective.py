"""From a network's output to named losses whose sum is minimised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dualseg.config import LossSettings, Recipe
from dualseg.core.errors import InputError
from dualseg.core.geometry import resize_logits
from dualseg.core.labels import LabelSpec
from dualseg.core.outputs import SegmentationOutput
from dualseg.losses.distillation import distillation_loss
from dualseg.losses.feature_affinity import (
    Distance,
    Normalization,
    Pairing,
    feature_affinity_loss,
)
from dualseg.losses.ramp import RampKind, ramp
from dualseg.losses.reconstruction import ReconstructionKind, reconstruction_loss
from dualseg.losses.slices import count_valid
from dualseg.training.objectives.batch import TrainingBatch
from dualseg.training.objectives.distillation import Teacher, feature_distillation_loss
from dualseg.training.objectives.label_terms import Labelled, LabelTerm, create_label_terms

__all__ = ["Distillation", "Objective", "TrainingBatch", "create_objective"]


def _plain_cross_entropy() -> dict[str, LabelTerm]:
    return create_label_terms({"cross_entropy": 1.0}, LossSettings(), class_weights=None)


@dataclass(frozen=True)
class Distillation:
    """A teacher and how much it counts.

    Args:
        teacher: Is asked for every batch.
        weight: For the divergence of its class probabilities.
        temperature: See `distillation_loss`.
        feature_weight: For the affinity of its features; 0 leaves it out.
        feature_subsampling: See `feature_distillation_loss`.
    """

    teacher: Teacher
    weight: float = 1.0
    temperature: float = 1.0
    feature_weight: float = 0.0
    feature_subsampling: int = 16


@dataclass(frozen=True)
class Objective:
    """Turns whichever fields of the output are present into weighted losses.

    The terms of the micro-batches of one batch add up to the terms of the whole batch; those that
    rank pixels or measure overlaps (ohem, bootstrapped, lovasz, dice, tversky) do so for each part.

    Args:
        ignore_index: Id of pixels that do not count.
        label_terms: Losses over the labels.
        auxiliary_terms: Those of auxiliary heads; `label_terms` where None.
        auxiliary_weight: For each auxiliary head, where `auxiliary_weights` is None.
        auxiliary_weights: One for each auxiliary head.
        image_weight: For the reconstruction (the paper's w1).
        affinity_weight: For the feature affinity (the paper's w2).
        warmup_steps: Both of these grow from zero over so many steps.
        ramp_kind: In this form.
        mean: Channel means, to undo the normalisation when `image_target` is "unit".
        std: Channel standard deviations, likewise.
        image_target: "normalized": the normalised image; "unit": values in 0..1, which makes the
            squared error about 20 times smaller with ImageNet's deviations.
        reconstruction: See `reconstruction_loss`.
        distance, normalization, pairing: See `feature_affinity_loss`.
        sum_over_batch: Multiply the affinity by the number of images, as one public port does.
        distillation: A teacher beside the labels.
    """

    ignore_index: int = 255
    label_terms: Mapping[str, LabelTerm] = field(default_factory=_plain_cross_entropy)
    auxiliary_terms: Mapping[str, LabelTerm] | None = None
    auxiliary_weight: float = 0.4
    auxiliary_weights: tuple[float, ...] | None = None
    image_weight: float = 0.1
    affinity_weight: float = 1.0
    warmup_steps: int = 0
    ramp_kind: RampKind = "linear"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    image_target: str = "normalized"
    reconstruction: ReconstructionKind = "l2"
    distance: Distance = "l1"
    normalization: Normalization = "l2"
    pairing: Pairing = "like"
    sum_over_batch: bool = False
    distillation: Distillation | None = None

    def __call__(
        self, output: SegmentationOutput, batch: TrainingBatch, step: int
    ) -> dict[str, Tensor]:
        """Weighted scalars by name: the label terms; auxiliary, image, affinity, distillation and
        distillation_features where they apply.
        """
        num_valid = batch.num_valid
        if num_valid is None:
            num_valid = count_valid(batch.target, self.ignore_index)
        logits = _at_target(output.logits, batch)
        labelled = Labelled(logits, batch.target, num_valid, batch.share, self.ignore_index)
        losses = {
            name: _weighted(term.weight, term.loss(labelled))
            for name, term in self.label_terms.items()
        }
        if output.auxiliary_logits:
            losses["auxiliary"] = self._auxiliary(output.auxiliary_logits, batch, labelled)
        warmth = ramp(step, steps=self.warmup_steps, kind=self.ramp_kind)
        if output.image_sr is not None:
            # An odd crop is shrunk to a rounded size, so twice that is a pixel off.
            size = (batch.image_hr.shape[-2], batch.image_hr.shape[-1])
            image_sr = resize_logits(output.image_sr, size)
            image_loss = reconstruction_loss(
                image_sr, self._image_target(batch), kind=self.reconstruction
            )
            losses["image"] = warmth * self.image_weight * batch.share * image_loss
        if output.features_seg is not None and output.features_sr is not None:
            affinity = feature_affinity_loss(
                output.features_seg,
                output.features_sr,
                distance=self.distance,
                normalization=self.normalization,
                pairing=self.pairing,
            )
            scale = len(batch.image) if self.sum_over_batch else batch.share
            losses["affinity"] = warmth * self.affinity_weight * scale * affinity
        if self.distillation is not None:
            losses |= self._distil(self.distillation, output, batch, labelled)
        return losses

    def _auxiliary(
        self, heads: Sequence[Tensor], batch: TrainingBatch, labelled: Labelled
    ) -> Tensor:
        """Every term of every head, weighted; their sum."""
        terms = self.auxiliary_terms or self.label_terms
        of_heads = []
        for logits in heads:
            of_head = labelled._replace(logits=_at_target(logits, batch))
            losses = [_weighted(term.weight, term.loss(of_head)) for term in terms.values()]
            of_heads.append(losses[0] if len(losses) == 1 else torch.stack(losses).sum())
        auxiliary = torch.stack(of_heads)
        if self.auxiliary_weights is None:
            return self.auxiliary_weight * auxiliary.sum()
        require_one_weight_each(self.auxiliary_weights, len(heads))
        return (auxiliary.new_tensor(self.auxiliary_weights) * auxiliary).sum()

    def _distil(
        self,
        settings: Distillation,
        output: SegmentationOutput,
        batch: TrainingBatch,
        labelled: Labelled,
    ) -> dict[str, Tensor]:
        known = settings.teacher(batch)
        losses = {}
        if settings.weight:
            divergence = distillation_loss(
                labelled.logits,
                _at_target(known.logits, batch),
                batch.target,
                temperature=settings.temperature,
                ignore_index=self.ignore_index,
                num_valid=labelled.num_valid,
            )
            losses["distillation"] = settings.weight * divergence
        if settings.feature_weight:
            assert output.features is not None, "networks in training mode return their features"
            affinity = feature_distillation_loss(
                output.features,
                known.features,
                size=(batch.target.shape[-2], batch.target.shape[-1]),
                subsampling=settings.feature_subsampling,
            )
            losses["distillation_features"] = settings.feature_weight * batch.share * affinity
        return losses

    def _image_target(self, batch: TrainingBatch) -> Tensor:
        if self.image_target == "normalized":
            return batch.image_hr
        std = torch.tensor(self.std, device=batch.image_hr.device).view(1, -1, 1, 1)
        mean = torch.tensor(self.mean, device=batch.image_hr.device).view(1, -1, 1, 1)
        return batch.image_hr * std + mean


def create_objective(
    recipe: Recipe,
    labels: LabelSpec,
    *,
    teacher: Teacher | None = None,
    num_auxiliary: int | None = None,
) -> Objective:
    """The objective a recipe asks for.

    Args:
        recipe: With class weights that are numbers; a rule has been resolved.
        labels: Number of classes, ignored id.
        teacher: The one of `recipe.distillation`.
        num_auxiliary: Auxiliary heads of the network, to find a wrong number of weights, or terms
            for no head, before the training begins.

    Raises:
        InputError: Class weights or auxiliary weights of another number than there are classes or
            heads, or auxiliary terms where there is no head.
    """
    dsrl, loss = recipe.dsrl, recipe.loss
    if loss.auxiliary_terms is not None and num_auxiliary == 0:
        raise InputError(
            f"loss.auxiliary_terms {', '.join(loss.auxiliary_terms)} has no effect: the network "
            "has no auxiliary head; leave it out, or use model.auxiliary=true"
        )
    if loss.auxiliary_weights is not None and num_auxiliary is not None:
        require_one_weight_each(loss.auxiliary_weights, num_auxiliary)
    class_weights = _class_weights(loss, labels)

    def terms(weights: Mapping[str, float]) -> dict[str, LabelTerm]:
        return create_label_terms(weights, loss, class_weights=class_weights)

    return Objective(
        ignore_index=labels.ignore_index,
        label_terms=terms(loss.terms),
        auxiliary_terms=None if loss.auxiliary_terms is None else terms(loss.auxiliary_terms),
        auxiliary_weight=recipe.model.auxiliary_weight,
        auxiliary_weights=loss.auxiliary_weights,
        image_weight=dsrl.image_weight,
        affinity_weight=dsrl.affinity_weight,
        warmup_steps=dsrl.warmup_steps,
        ramp_kind=loss.ramp,
        mean=recipe.data.mean,
        std=recipe.data.std,
        image_target=dsrl.image_target,
        reconstruction=loss.reconstruction,
        distance=dsrl.affinity_distance,
        normalization=dsrl.affinity_normalization,
        pairing=dsrl.affinity_pairing,
        sum_over_batch=dsrl.affinity_reduction == "batch_sum",
        distillation=_distillation(recipe, teacher),
    )


def num_auxiliary_heads(model: nn.Module) -> int:
    """Heads that are trained beside a network's own, also inside a DSRL network."""
    heads = getattr(getattr(model, "host", model), "auxiliary_heads", ())
    return len(heads)


def require_one_weight_each(weights: Sequence[float], num_heads: int) -> None:
    """Refuses a number of weights that is not that of the auxiliary heads.

    Raises:
        InputError: It is not.
    """
    if len(weights) != num_heads:
        raise InputError(
            f"loss.auxiliary_weights is {list(weights)}, but the network has {num_heads} auxiliary "
            f"head{'s' * (num_heads != 1)}; give one number for each, or model.auxiliary_weight "
            "for all"
        )


def _class_weights(loss: LossSettings, labels: LabelSpec) -> Tensor | None:
    if loss.class_weights is None:
        return None
    assert not isinstance(loss.class_weights, str), "setup turns a rule into numbers"
    if len(loss.class_weights) != labels.num_classes:
        raise InputError(
            f"loss.class_weights has {len(loss.class_weights)} numbers for {labels.num_classes} "
            f"classes: {', '.join(labels.class_names)}; give one number for each, in this order"
        )
    return torch.tensor(loss.class_weights)


def _distillation(recipe: Recipe, teacher: Teacher | None) -> Distillation | None:
    settings = recipe.distillation
    assert (teacher is None) == (settings.teacher is None), "setup loads the recipe's teacher"
    if teacher is None:
        return None
    return Distillation(
        teacher,
        weight=settings.weight,
        temperature=settings.temperature,
        feature_weight=settings.feature_weight,
        feature_subsampling=settings.feature_subsampling,
    )


def _weighted(weight: float, loss: Tensor) -> Tensor:
    return loss if weight == 1.0 else weight * loss


def _at_target(logits: Tensor, batch: TrainingBatch) -> Tensor:
    return resize_logits(logits, (batch.target.shape[-2], batch.target.shape[-1]))
