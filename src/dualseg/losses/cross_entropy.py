"""Cross-entropy over the pixels that count, in one pass over the logits.

At output resolution the logits are the largest tensors of a training step. The usual chain (cast to
fp32, log-softmax, negative log-likelihood, and the way back) writes and reads several copies of
them; here they are taken in slices that stay in the cache, and the gradient is made on the way.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CPU_SLICE_ELEMENTS = 1 << 18  # scores held at once in fp32: 1 MiB; a GPU takes an image at a time


def cross_entropy(
    logits: Tensor, target: Tensor, *, ignore_index: int = 255, num_valid: int | None = None
) -> Tensor:
    """Mean negative log-likelihood over valid pixels, computed in fp32.

    A crop that is ignored altogether gives zero with a graph behind it, so that backward works.

    Args:
        logits: (B, K, H, W), any floating type and memory format; the gradient has the same.
        target: (B, H, W) class ids 0..K-1 or `ignore_index`. The caller has checked them.
        ignore_index: Id of pixels that do not count.
        num_valid: Divide by this instead of the number of valid pixels at hand; the count of the
            whole batch, when this is a part of it.

    Returns:
        A scalar in fp32.
    """
    if num_valid is None:
        num_valid = int((target != ignore_index).sum())
    total: Tensor = _SummedCrossEntropy.apply(logits, target, ignore_index)  # type: ignore
    return total / max(num_valid, 1)


class _SummedCrossEntropy(torch.autograd.Function):
    """sum over valid pixels of -log softmax(logits)[target]."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:  # type: ignore[override]
        batch, num_classes, height, width = logits.shape
        on_cpu = logits.device.type == "cpu"
        rows = max(1, CPU_SLICE_ELEMENTS // (num_classes * width)) if on_cpu else height
        gradient = torch.empty_like(logits)
        total = torch.zeros((), device=logits.device)
        for image in range(batch):
            for start in range(0, height, rows):
                part = (image, slice(None), slice(start, start + rows))
                ids = target[image, start : start + rows]
                valid = ids != ignore_index
                ids = ids.where(valid, 0).long()[None]  # (1, rows, W)
                scores = torch.empty((num_classes, *ids.shape[1:]), device=logits.device)
                log_probs = scores.copy_(logits[part]).log_softmax(dim=0)  # (K, rows, W)
                total -= (log_probs.gather(0, ids)[0] * valid).sum()
                probs = log_probs.exp_()
                probs.scatter_add_(0, ids, torch.full_like(ids, -1, dtype=probs.dtype))
                gradient[part] = probs.mul_(valid)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None
