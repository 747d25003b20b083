"""Cross-entropy over the pixels that count, in one pass over the logits.

The usual chain (cast to fp32, log-softmax, negative log-likelihood, and the way back) writes and
reads several copies of the logits; here they are taken in slices that stay in the cache, and the
gradient is made on the way. Every loss that is a function of the pixels' cross-entropy (`ohem`,
`focal`, `bootstrapped`) starts from `pixel_cross_entropy` and costs one such pass.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dualseg.losses.slices import accumulator, count_valid, scores_of, slices


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int = 255,
    num_valid: float | None = None,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Mean negative log-likelihood over valid pixels, computed in fp32.

    A crop that is ignored altogether gives zero with a graph behind it, so that backward works.

    Args:
        logits: (B, K, H, W), any floating type and memory format; the gradient has the same.
        target: (B, H, W) class ids 0..K-1 or `ignore_index`. The caller has checked them.
        ignore_index: Id of pixels that do not count.
        num_valid: Divide by this instead of the number of valid pixels at hand; the count of the
            whole batch, when this is a part of it.
        class_weights: (K,) factor on the loss of each class's pixels. The sum is divided by the
            number of valid pixels, so that parts of a batch add up to it and a class weighs the
            same in every batch. torch's weighted mean divides by the sum of the pixels' weights;
            `num_valid=class_weights[target].sum()` gives that one.
        label_smoothing: Share of the truth that is spread evenly over all classes, as in torch;
            with class weights the spread share of a class has that class's weight.

    Returns:
        A scalar in fp32.

    Raises:
        ValueError: There is not one class weight a class.
    """
    if num_valid is None:
        num_valid = count_valid(target, ignore_index)
    total, _ = _apply(logits, target, ignore_index, class_weights, label_smoothing)
    return total / max(num_valid, 1)


def pixel_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int = 255,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The same loss for each pixel, 0 where ignored; no pixel's gradient reaches another pixel.

    Shape: logits (B, K, H, W), target (B, H, W) -> (B, H, W) in fp32
    """
    _, each = _apply(logits, target, ignore_index, class_weights, label_smoothing)
    return each


def pixel_weights(
    class_weights: Tensor, logits: Tensor, target: Tensor, *, ignore_index: int = 255
) -> Tensor:
    """The weight of each pixel's true class, for a loss that is weighted after the fact.

    Shape: weights (K,), logits (B, K, H, W), target (B, H, W) -> (B, H, W) in fp32

    Raises:
        ValueError: There is not one weight a class.
    """
    return _fitting(class_weights, logits)[target.where(target != ignore_index, 0).long()]


def _fitting(class_weights: Tensor, logits: Tensor) -> Tensor:
    if class_weights.shape != (logits.shape[1],):
        raise ValueError(
            f"{tuple(class_weights.shape)} class weights for {logits.shape[1]} classes; "
            "give one number for each class"
        )
    return class_weights.to(logits.device, accumulator(logits))


def _apply(
    logits: Tensor,
    target: Tensor,
    ignore_index: int,
    class_weights: Tensor | None,
    label_smoothing: float,
) -> tuple[Tensor, Tensor]:
    if class_weights is not None:
        class_weights = _fitting(class_weights, logits)
    return _CrossEntropy.apply(  # type: ignore[no-any-return]
        logits, target, ignore_index, class_weights, label_smoothing
    )


class _CrossEntropy(torch.autograd.Function):
    """Sum over valid pixels of -sum_k q_k log softmax(logits)_k, and the summands.

    q_k = w_k ((1 - s) [k = truth] + s / K), and the gradient is softmax * sum(q) - q.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        logits: Tensor,
        target: Tensor,
        ignore_index: int,
        class_weights: Tensor | None,
        smoothing: float,
    ) -> tuple[Tensor, Tensor]:
        gradient = torch.empty_like(logits)
        total = torch.zeros((), dtype=accumulator(logits), device=logits.device)
        each = torch.zeros(target.shape, dtype=total.dtype, device=logits.device)
        for index, pixels, ids, valid in slices(logits, target, ignore_index):
            log_probs = scores_of(logits, index).log_softmax(dim=0)  # (K, R, W)
            if class_weights is None and not smoothing:
                losses, slopes = _of_one_class(log_probs, ids)
            else:
                losses, slopes = _of_all_classes(log_probs, ids, class_weights, smoothing)
            losses *= valid
            total += losses.sum()
            each[pixels] = losses
            gradient[index] = slopes.mul_(valid)
        ctx.save_for_backward(gradient)
        ctx.set_materialize_grads(False)
        return total, each

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any, upstream_total: Tensor | None, upstream_each: Tensor | None
    ) -> tuple[Tensor | None, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        if upstream_each is not None:
            factor = upstream_each if upstream_total is None else upstream_each + upstream_total
            return _scaled(gradient, factor), None, None, None, None
        if upstream_total is not None:
            return gradient * upstream_total, None, None, None, None
        return None, None, None, None, None


def _of_one_class(log_probs: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Losses (R, W) and their slopes (K, R, W), which overwrite `log_probs`."""
    losses = -log_probs.gather(0, ids)[0]
    probs = log_probs.exp_()
    probs.scatter_add_(0, ids, torch.full_like(ids, -1, dtype=probs.dtype))
    return losses, probs


def _of_all_classes(
    log_probs: Tensor, ids: Tensor, class_weights: Tensor | None, smoothing: float
) -> tuple[Tensor, Tensor]:
    """The same for truths that are weighted or spread."""
    num_classes = len(log_probs)
    if class_weights is None:
        class_weights = log_probs.new_ones(num_classes)
    own = (1.0 - smoothing) * class_weights[ids]  # (1, R, W)
    losses = -(own * log_probs.gather(0, ids))[0]
    spread = (smoothing / num_classes * class_weights).view(-1, 1, 1)
    if smoothing:
        losses -= (spread * log_probs).sum(dim=0)
    slopes = log_probs.exp_().mul_(own + spread.sum())
    slopes.scatter_add_(0, ids, -own)
    return losses, slopes.sub_(spread)


def _scaled(gradient: Tensor, factor: Tensor) -> Tensor:
    """(B, K, H, W) times (B, H, W), rounded once to the type of `gradient`."""
    if gradient.dtype == factor.dtype:
        return gradient * factor[:, None]
    scaled = torch.empty_like(gradient)
    for index, pixels, _, _ in slices(gradient, factor, ignore_index=0):
        scaled[index] = gradient[index] * factor[pixels]
    return scaled
