"""Focal loss: cross-entropy that pixels already predicted well hardly enter."""

import torch
from torch import Tensor

from dualseg.losses.cross_entropy import pixel_cross_entropy, pixel_weights
from dualseg.losses.slices import count_valid


def focal_loss(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float = 2.0,
    ignore_index: int = 255,
    num_valid: float | None = None,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Mean over valid pixels of (1 - p)^gamma * -log p, p being the softmax of the true class.

    Args:
        logits: (B, K, H, W).
        target: (B, H, W) class ids or `ignore_index`.
        gamma: 0 is cross-entropy.
        ignore_index: Id of pixels that do not count.
        num_valid: Valid pixels of the whole batch, when this is a part of it; parts add up.
        class_weights: (K,) factor on each class's pixels, the paper's alpha.

    Raises:
        ValueError: There is not one class weight a class.

    Source: Lin et al. 2017, arXiv:1708.02002, equation 5, with the softmax of all classes in place
        of one sigmoid a class. One public port applies it to the mean over the batch instead of
        each pixel, which is another loss.
    """
    losses = pixel_cross_entropy(logits, target, ignore_index=ignore_index)
    # 1 - p; the floor keeps the slope of a power below 1 finite where p is 1.
    missing = (-torch.expm1(-losses)).clamp(min=torch.finfo(losses.dtype).tiny ** 0.25)
    focal = missing.pow(gamma) * losses
    if class_weights is not None:
        focal = focal * pixel_weights(class_weights, logits, target, ignore_index=ignore_index)
    if num_valid is None:
        num_valid = count_valid(target, ignore_index)
    return focal.sum() / max(num_valid, 1)
