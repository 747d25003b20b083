"""Cross-entropy over the hard pixels of a batch (online hard example mining)."""

import math

from torch import Tensor

from dualseg.losses.cross_entropy import pixel_cross_entropy, pixel_weights
from dualseg.losses.slices import count_valid


def ohem_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    threshold: float = 0.7,
    min_kept: int = 100_000,
    ignore_index: int = 255,
    num_valid: float | None = None,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy over the valid pixels whose true class has a probability below a limit.

    The limit is the larger of `threshold` and the `min_kept`-th smallest probability. Ignored
    pixels are in no ranking, and `min_kept` is at most the number of valid pixels.

    Args:
        logits: (B, K, H, W).
        target: (B, H, W) class ids or `ignore_index`.
        threshold: Probability, above 0, up to which a pixel is hard; 1 keeps every pixel.
        min_kept: Keep at least so many pixels of this part of the batch.
        ignore_index: Id of pixels that do not count.
        num_valid: Valid pixels of the whole batch, when this is a part of it. Each part ranks its
            own pixels and its mean is weighted by its share of the valid ones: the parts add up to
            a mean of means, which is not the loss of the whole batch ranked at once.
        class_weights: (K,) factors on the kept pixels' losses; the ranking does not see them.

    Raises:
        ValueError: There is not one class weight a class.

    Source: Shrivastava et al. 2016, arXiv:1604.03540, for pixels as in Wu et al. 2016,
        arXiv:1605.06885. Differs from the public code: ignored pixels do not enter the ranking.
    """
    losses = pixel_cross_entropy(logits, target, ignore_index=ignore_index)
    valid = target != ignore_index
    here = count_valid(target, ignore_index)
    hard = _hard_pixels(losses.detach(), valid, threshold, min(min_kept, here))
    if class_weights is not None:
        losses = losses * pixel_weights(class_weights, logits, target, ignore_index=ignore_index)
    mean = (losses * hard).sum() / hard.sum().clamp(min=1)
    return mean if num_valid is None else mean * (here / max(num_valid, 1))


def _hard_pixels(losses: Tensor, valid: Tensor, threshold: float, min_kept: int) -> Tensor:
    """(B, H, W) mask; a small probability is a large loss."""
    hard = (losses >= -math.log(threshold)) & valid
    if int(hard.sum()) >= min_kept:
        return hard
    limit = losses[valid].topk(min_kept, sorted=False).values.min()
    return (losses >= limit) & valid
