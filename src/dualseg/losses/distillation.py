"""Knowledge of a teacher: its class probabilities at every pixel."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dualseg.losses.slices import accumulator, count_valid, scores_of, slices


def distillation_loss(
    logits: Tensor,
    teacher_logits: Tensor,
    target: Tensor,
    *,
    temperature: float = 1.0,
    ignore_index: int = 255,
    num_valid: float | None = None,
) -> Tensor:
    """Mean over valid pixels of T^2 KL(softmax(teacher / T) || softmax(student / T)), in fp32.

    Args:
        logits: (B, K, H, W) of the student, any floating type; the gradient has the same.
        teacher_logits: (B, K, H, W), any floating type; no gradient goes there.
        target: (B, H, W); only says which pixels are ignored.
        temperature: T, above 0; larger ones show more of the classes the teacher holds unlikely.
            T^2 keeps the gradient's size.
        ignore_index: Id of pixels that do not count.
        num_valid: Valid pixels of the whole batch, when this is a part of it; parts add up.

    Raises:
        ValueError: The two have different shapes.

    Source: Hinton et al. 2015, arXiv:1503.02531, section 2, at every pixel.
    """
    if logits.shape != teacher_logits.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} and teacher's {tuple(teacher_logits.shape)} must agree"
        )
    if num_valid is None:
        num_valid = count_valid(target, ignore_index)
    total: Tensor = _SummedDivergence.apply(  # type: ignore[assignment]
        logits, teacher_logits, target, temperature, ignore_index
    )
    return total / max(num_valid, 1)


class _SummedDivergence(torch.autograd.Function):
    """Sum over valid pixels, slice by slice; the gradient, T (p - q), on the way."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        logits: Tensor,
        teacher_logits: Tensor,
        target: Tensor,
        temperature: float,
        ignore_index: int,
    ) -> Tensor:
        gradient = torch.empty_like(logits)
        total = torch.zeros((), dtype=accumulator(logits), device=logits.device)
        for index, _, _, valid in slices(logits, target, ignore_index):
            ours = scores_of(logits, index).div_(temperature).log_softmax(dim=0)
            theirs = scores_of(teacher_logits, index).to(ours.dtype)
            theirs = theirs.div_(temperature).log_softmax(dim=0)
            probs = theirs.exp()
            divergence = theirs.sub_(ours).mul_(probs).sum(dim=0)  # sum_k q (log q - log p)
            total += temperature**2 * (divergence * valid).sum()
            gradient[index] = ours.exp_().sub_(probs).mul_(temperature).mul_(valid)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any, upstream: Tensor
    ) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None, None, None
