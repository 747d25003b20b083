"""Cross-entropy over the worst share of a batch's pixels."""

from torch import Tensor

from dualseg.losses.cross_entropy import pixel_cross_entropy
from dualseg.losses.slices import count_valid


def bootstrapped_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    kept_share: float = 0.25,
    ignore_index: int = 255,
    num_valid: float | None = None,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy over the valid pixels with the largest losses.

    Args:
        logits: (B, K, H, W).
        target: (B, H, W) class ids or `ignore_index`.
        kept_share: Of the valid pixels, above 0; rounded, at least one pixel.
        ignore_index: Id of pixels that do not count.
        num_valid: Valid pixels of the whole batch, when this is a part of it. Each part ranks its
            own pixels, as in `ohem_cross_entropy`.
        class_weights: (K,) factors; weighted losses are ranked.

    Raises:
        ValueError: There is not one class weight a class.

    Source: Wu et al. 2016, arXiv:1605.06885, with a share in place of a fixed number; larger losses
        are kept, not smaller ones as in one public port.
    """
    losses = pixel_cross_entropy(
        logits, target, ignore_index=ignore_index, class_weights=class_weights
    )
    here = count_valid(target, ignore_index)
    if here == 0:
        return losses.sum()
    count = min(here, max(1, round(kept_share * here)))
    mean = losses.flatten().topk(count, sorted=False).values.mean()
    return mean if num_valid is None else mean * (here / max(num_valid, 1))
