"""From a network's output to named losses whose sum is minimised."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from dualseg.config import Recipe
from dualseg.core.geometry import resize_logits
from dualseg.core.labels import LabelSpec
from dualseg.core.outputs import SegmentationOutput
from dualseg.losses.cross_entropy import cross_entropy
from dualseg.losses.feature_affinity import (
    Distance,
    Normalization,
    Pairing,
    feature_affinity_loss,
)
from dualseg.losses.reconstruction import reconstruction_loss


@dataclass(frozen=True)
class TrainingBatch:
    """A batch on the device, or one micro-batch of it.

    Args:
        image: (B, 3, h, w) normalised input of the network.
        image_hr: (B, 3, H, W) the same image before the shrink.
        target: (B, H, W) int64 class ids, 255 ignored; (B, h, w) where the label was shrunk too.
        names: File names, for messages.
        num_valid: Valid pixels of the whole batch, when this is a part of it.
        share: This part's images divided by the whole batch's.
    """

    image: Tensor
    image_hr: Tensor
    target: Tensor
    names: tuple[str, ...] = ()
    num_valid: int | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Objective:
    """Turns whichever fields of the output are present into weighted losses.

    The terms of the micro-batches of one batch add up to the terms of the whole batch.

    Args:
        ignore_index: Id of pixels that do not count.
        auxiliary_weight: For each auxiliary head.
        image_weight: For the reconstruction (the paper's w1).
        affinity_weight: For the feature affinity (the paper's w2).
        warmup_steps: Both of these grow linearly from zero over so many steps.
        mean: Channel means, to undo the normalisation when `image_target` is "unit".
        std: Channel standard deviations, likewise.
        image_target: "normalized": the normalised image; "unit": values in 0..1, which makes the
            squared error about 20 times smaller with ImageNet's deviations.
        distance, normalization, pairing: See `feature_affinity_loss`.
        sum_over_batch: Multiply the affinity by the number of images, as one public port does.
    """

    ignore_index: int = 255
    auxiliary_weight: float = 0.4
    image_weight: float = 0.1
    affinity_weight: float = 1.0
    warmup_steps: int = 0
    mean: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0))
    std: tuple[float, float, float] = field(default=(1.0, 1.0, 1.0))
    image_target: str = "normalized"
    distance: Distance = "l1"
    normalization: Normalization = "l2"
    pairing: Pairing = "like"
    sum_over_batch: bool = False

    def __call__(
        self, output: SegmentationOutput, batch: TrainingBatch, step: int
    ) -> dict[str, Tensor]:
        """Weighted scalars by name: cross_entropy; auxiliary, image, affinity where they apply."""
        losses = {"cross_entropy": self._labels(output.logits, batch)}
        if output.auxiliary_logits:
            auxiliary = torch.stack([self._labels(a, batch) for a in output.auxiliary_logits])
            losses["auxiliary"] = self.auxiliary_weight * auxiliary.sum()
        warmth = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if output.image_sr is not None:
            # An odd crop is shrunk to a rounded size, so twice that is a pixel off.
            size = (batch.image_hr.shape[-2], batch.image_hr.shape[-1])
            image_sr = resize_logits(output.image_sr, size)
            image_loss = reconstruction_loss(image_sr, self._image_target(batch))
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
        return losses

    def _labels(self, logits: Tensor, batch: TrainingBatch) -> Tensor:
        size = (batch.target.shape[-2], batch.target.shape[-1])
        return cross_entropy(
            resize_logits(logits, size),
            batch.target,
            ignore_index=self.ignore_index,
            num_valid=batch.num_valid,
        )

    def _image_target(self, batch: TrainingBatch) -> Tensor:
        if self.image_target == "normalized":
            return batch.image_hr
        std = torch.tensor(self.std, device=batch.image_hr.device).view(1, 3, 1, 1)
        mean = torch.tensor(self.mean, device=batch.image_hr.device).view(1, 3, 1, 1)
        return batch.image_hr * std + mean


def create_objective(recipe: Recipe, labels: LabelSpec) -> Objective:
    """The objective a recipe asks for."""
    dsrl = recipe.dsrl
    return Objective(
        ignore_index=labels.ignore_index,
        auxiliary_weight=recipe.model.auxiliary_weight,
        image_weight=dsrl.image_weight,
        affinity_weight=dsrl.affinity_weight,
        warmup_steps=dsrl.warmup_steps,
        mean=recipe.data.mean,
        std=recipe.data.std,
        image_target=dsrl.image_target,
        distance=dsrl.affinity_distance,
        normalization=dsrl.affinity_normalization,
        pairing=dsrl.affinity_pairing,
        sum_over_batch=dsrl.affinity_reduction == "batch_sum",
    )
