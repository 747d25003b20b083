"""Logits at output resolution, a slice at a time.

They are the largest tensors of a training step. What is computed on slices that stay in the cache
reads and writes them once, and no second copy of them in fp32 is ever held.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

CPU_SLICE_ELEMENTS = 1 << 18  # scores held at once in fp32: 1 MiB; a GPU takes an image at a time

Index = tuple[int, slice, slice]


class Slice(NamedTuple):
    """Some rows of one image.

    Attributes:
        scores: Takes (K, R, W) out of (B, K, H, W).
        pixels: Takes (R, W) out of (B, H, W).
        ids: (1, R, W) class ids, 0 where ignored.
        valid: (R, W) True where the pixel counts.
    """

    scores: Index
    pixels: tuple[int, slice]
    ids: Tensor
    valid: Tensor


def count_valid(target: Tensor, ignore_index: int) -> int:
    """Pixels that count."""
    return int((target != ignore_index).sum())


def slices(logits: Tensor, target: Tensor, ignore_index: int) -> Iterator[Slice]:
    """All rows of all images of logits (B, K, H, W) and target (B, H, W), in order."""
    batch, num_classes, height, width = logits.shape
    on_cpu = logits.device.type == "cpu"
    rows = max(1, CPU_SLICE_ELEMENTS // (num_classes * width)) if on_cpu else height
    for image in range(batch):
        for start in range(0, height, rows):
            part = slice(start, start + rows)
            ids = target[image, part]
            valid = ids != ignore_index
            ids = ids.where(valid, 0).long()[None]
            yield Slice((image, slice(None), part), (image, part), ids, valid)


def scores_of(logits: Tensor, index: Index) -> Tensor:
    """A fresh (K, R, W) copy of a slice, in fp32 (in fp64 where the logits are)."""
    part = logits[index]
    return torch.empty(part.shape, dtype=accumulator(logits), device=logits.device).copy_(part)


def accumulator(logits: Tensor) -> torch.dtype:
    """What losses are computed in: fp32, or fp64 for logits in fp64."""
    return torch.float64 if logits.dtype == torch.float64 else torch.float32


def sum_type(device: torch.device) -> torch.dtype:
    """What sums over many numbers are held in: fp64, or fp32 where a device has no more (MPS)."""
    return torch.float32 if device.type == "mps" else torch.float64


def one_hot(ids: Tensor, like: Tensor) -> Tensor:
    """(1, R, W) ids -> (K, R, W) of zeros and ones, of the shape and type of `like`."""
    return torch.zeros_like(like).scatter_(0, ids, 1.0)


def through_softmax(probs: Tensor, slopes: Tensor) -> Tensor:
    """Gradient with respect to (K, R, W) probabilities -> with respect to their logits."""
    return probs * (slopes - (probs * slopes).sum(dim=0, keepdim=True))
