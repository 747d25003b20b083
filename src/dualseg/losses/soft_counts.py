"""Pixels counted by probability: what dice and Tversky are made of."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dualseg.losses.slices import accumulator, one_hot, scores_of, slices, through_softmax


class SoftCounts(NamedTuple):
    """For each class, over the valid pixels of all images; each (K,).

    Attributes:
        hits: Sum of the probabilities of the class where it is the truth.
        predicted: Sum of the probabilities of the class.
        present: Pixels of the class; no gradient.
    """

    hits: Tensor
    predicted: Tensor
    present: Tensor


def soft_counts(logits: Tensor, target: Tensor, *, ignore_index: int = 255) -> SoftCounts:
    """Counts in fp32 with a gradient, which is made slice by slice on the way back.

    Shape: logits (B, K, H, W), target (B, H, W) -> three of (K,)
    """
    return SoftCounts(*_SoftCounts.apply(logits, target, ignore_index))  # type: ignore[misc]


def mean_over_present(losses: Tensor, counts: SoftCounts) -> Tensor:
    """Mean over the classes that have a pixel; zero with a graph where none has."""
    there = counts.present > 0
    return losses.where(there, 0.0).sum() / there.sum().clamp(min=1)


class _SoftCounts(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, logits: Tensor, target: Tensor, ignore_index: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        sums = torch.zeros((3, logits.shape[1]), dtype=accumulator(logits), device=logits.device)
        for index, _, ids, valid in slices(logits, target, ignore_index):
            probs = scores_of(logits, index).softmax(dim=0).mul_(valid)
            truth = one_hot(ids, probs).mul_(valid)
            sums[1] += probs.sum(dim=(1, 2))
            sums[2] += truth.sum(dim=(1, 2))
            sums[0] += truth.mul_(probs).sum(dim=(1, 2))
        ctx.save_for_backward(logits, target)
        ctx.ignore_index = ignore_index
        hits, predicted, present = sums.unbind()
        ctx.mark_non_differentiable(present)
        return hits, predicted, present

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any, hits: Tensor, predicted: Tensor, present: Tensor
    ) -> tuple[Tensor, None, None]:
        logits, target = ctx.saved_tensors
        gradient = torch.empty_like(logits)
        for index, _, ids, valid in slices(logits, target, ctx.ignore_index):
            probs = scores_of(logits, index).softmax(dim=0)
            slopes = one_hot(ids, probs).mul_(hits.view(-1, 1, 1)).add_(predicted.view(-1, 1, 1))
            gradient[index] = through_softmax(probs, slopes).mul_(valid)
        return gradient, None, None
