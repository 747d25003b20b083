"""The sum of given scores under the softmax: for losses that are linear in the probabilities."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dualseg.losses.slices import accumulator, scores_of, slices, through_softmax


def expected_score(
    logits: Tensor, scores: Tensor, target: Tensor, *, ignore_index: int = 255
) -> Tensor:
    """Sum over valid pixels and classes of softmax(logits) * scores, with the gradient on the way.

    Args:
        logits: (B, K, H, W).
        scores: (B, K, H, W); constants, no gradient.
        target: (B, H, W); only says which pixels are ignored.
        ignore_index: Id of pixels that do not count.
    """
    return _ExpectedScore.apply(logits, scores, target, ignore_index)  # type: ignore[no-any-return]


class _ExpectedScore(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, logits: Tensor, scores: Tensor, target: Tensor, ignore_index: int
    ) -> Tensor:
        # A score of 1 / pixels is too small for fp16; it is multiplied by the loss's scale first.
        is_half = logits.dtype == torch.float16
        gradient = torch.empty_like(logits, dtype=torch.float32 if is_half else None)
        total = torch.zeros((), dtype=accumulator(logits), device=logits.device)
        for index, _, _, valid in slices(logits, target, ignore_index):
            probs = scores_of(logits, index).softmax(dim=0)
            slopes = scores[index]
            total += ((probs * slopes).sum(dim=0) * valid).sum()
            gradient[index] = through_softmax(probs, slopes).mul_(valid)
        ctx.save_for_backward(gradient)
        ctx.dtype = logits.dtype
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        (gradient,) = ctx.saved_tensors
        return (gradient * upstream).to(ctx.dtype), None, None, None
