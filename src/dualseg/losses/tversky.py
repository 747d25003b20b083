"""Tversky and dice loss: one minus the overlap of each class, counted by probability."""

from torch import Tensor

from dualseg.losses.slices import count_valid
from dualseg.losses.soft_counts import mean_over_present, soft_counts

SMALLEST = 1e-7  # of the denominator, in pixels


def tversky_loss(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float,
    beta: float,
    ignore_index: int = 255,
    num_valid: float | None = None,
) -> Tensor:
    """Mean over classes of 1 - TP / (TP + alpha FP + beta FN).

    TP, FP and FN are sums of probabilities over the valid pixels of all images. Classes without a
    pixel in them are left out of the mean.

    Args:
        logits: (B, K, H, W).
        target: (B, H, W) class ids or `ignore_index`.
        alpha: Weight of false positives.
        beta: Weight of false negatives; above `alpha`, misses cost more.
        ignore_index: Id of pixels that do not count.
        num_valid: Valid pixels of the whole batch, when this is a part of it. An overlap is no mean
            over pixels: each part's loss is weighted by its share of the valid pixels, and the sum
            is not the loss of the whole batch.

    Source: Salehi et al. 2017, arXiv:1706.05721, equation 3, for each class present.
    """
    counts = soft_counts(logits, target, ignore_index=ignore_index)
    false_positives = counts.predicted - counts.hits
    misses = counts.present - counts.hits
    size = counts.hits + alpha * false_positives + beta * misses
    loss = mean_over_present(1.0 - counts.hits / size.clamp(min=SMALLEST), counts)
    if num_valid is None:
        return loss
    return loss * (count_valid(target, ignore_index) / max(num_valid, 1))


def dice_loss(
    logits: Tensor, target: Tensor, *, ignore_index: int = 255, num_valid: float | None = None
) -> Tensor:
    """Mean over classes of 1 - 2 TP / (2 TP + FP + FN): Tversky with both weights 1/2.

    Source: Milletari et al. 2016, arXiv:1606.04797, section 3. Differs: probabilities are not
        squared in the denominator, and every class present has a term.
    """
    return tversky_loss(
        logits, target, alpha=0.5, beta=0.5, ignore_index=ignore_index, num_valid=num_valid
    )
