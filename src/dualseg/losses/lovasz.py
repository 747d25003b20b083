"""Lovász-softmax: a convex surrogate of one minus the intersection over union."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dualseg.losses.expected_score import expected_score
from dualseg.losses.slices import accumulator, count_valid, scores_of, slices, sum_type

Classes = Literal["present", "all"]


def lovasz_softmax(
    logits: Tensor,
    target: Tensor,
    *,
    classes: Classes = "present",
    per_image: bool = False,
    ignore_index: int = 255,
    num_valid: float | None = None,
    num_images: float | None = None,
) -> Tensor:
    """Mean over classes of the Lovász extension of 1 - IoU, taken at the errors |truth - softmax|.

    Args:
        logits: (B, K, H, W).
        target: (B, H, W) class ids or `ignore_index`.
        classes: Mean over the classes that have a valid pixel, or over all of them.
        per_image: One loss an image, and their mean, in place of one over all pixels. An image that
            is ignored altogether counts as zero.
        ignore_index: Id of pixels that do not count.
        num_valid: Valid pixels of the whole batch, when this is a part of it and `per_image` is
            off. The part's loss is weighted by its share of them; the sum over the parts is not the
            loss of the whole batch, since an IoU is no mean over pixels.
        num_images: Images of the whole batch, when this is a part of it and `per_image` is on;
            parts add up to the whole.

    Source: Berman et al. 2018, arXiv:1705.08790, equation 11 and algorithm 1.
    """
    slopes = _probabilities(logits, target, ignore_index)
    groups = [slice(i, i + 1) for i in range(len(logits))] if per_image else [slice(None)]
    # The extension is linear between changes of the order: constant + slopes * probabilities.
    constants = [
        _turn_into_slopes(slopes[group], target[group], classes, ignore_index) for group in groups
    ]
    constant = torch.stack(constants).sum().to(slopes.dtype)
    total = constant + expected_score(logits, slopes, target, ignore_index=ignore_index)
    if per_image:
        return total / (len(logits) if num_images is None else num_images)
    if num_valid is None:
        return total
    return total * (count_valid(target, ignore_index) / max(num_valid, 1))


def _probabilities(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Softmax in fp32, without a graph."""
    probs = torch.empty(logits.shape, dtype=accumulator(logits), device=logits.device)
    for index, _, _, _ in slices(logits, target, ignore_index):
        probs[index] = scores_of(logits.detach(), index).softmax(dim=0)
    return probs


def _turn_into_slopes(probs: Tensor, target: Tensor, classes: Classes, ignore_index: int) -> Tensor:
    """Overwrites (B, K, H, W) probabilities by the loss's slopes; returns its constant part."""
    valid = target != ignore_index
    present = [bool((target == k).any()) for k in range(probs.shape[1])]
    used = present if classes == "present" else [bool(valid.any())] * len(present)
    share = 1.0 / max(1, sum(used))
    constant = torch.zeros((), dtype=sum_type(probs.device), device=probs.device)
    for k, is_used in enumerate(used):
        if not is_used:
            probs[:, k] = 0.0
            continue
        belongs = target == k
        errors = torch.where(belongs, 1 - probs[:, k], probs[:, k])
        errors.clamp_(min=0)  # a softmax may round to above 1
        weights = share * _weights(errors.where(valid, -1.0).flatten(), belongs.flatten())
        weights = weights.view_as(errors)
        constant += weights[belongs].sum(dtype=constant.dtype)
        probs[:, k] = torch.where(belongs, -weights, weights)
    return constant


def _weights(errors: Tensor, belongs: Tensor) -> Tensor:
    """(N,) factor of each pixel's error: by how much the Jaccard loss grows when it joins the
    wrong ones, in the order of falling errors. In fp64, since neighbours differ by about 1 / N
    (in fp32 on MPS, which has no fp64).

    Ignored pixels have the error -1: they come last, and what they get is of no account.
    """
    order = _falling_order(errors)
    hits = belongs[order].cumsum(0).to(sum_type(errors.device))
    rank = torch.arange(1, len(order) + 1, dtype=hits.dtype, device=errors.device)
    size = hits[-1]
    jaccard = 1 - (size - hits) / (size + rank - hits)
    growth = jaccard.diff(prepend=jaccard.new_zeros(1)).to(errors.dtype)
    return torch.empty_like(errors).scatter_(0, order, growth)


def _falling_order(errors: Tensor) -> Tensor:
    """(N,) positions from the largest error to the smallest; of equals the first comes first."""
    if errors.device.type != "cpu" or errors.dtype != torch.float32:
        return errors.argsort(descending=True, stable=True)
    # One sort of whole numbers, each a turned error before a position: a tenth of argsort's time.
    # The bits of floats that are not negative are ordered as they are; -1 has the sign's bit.
    turned = ~errors.numpy().view(np.int32)
    keys = turned.astype(np.int64) << 32 | np.arange(len(turned))
    keys.sort()
    return torch.from_numpy(keys & 0xFFFFFFFF)
