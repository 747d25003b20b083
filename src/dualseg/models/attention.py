"""Exact softmax attention without the matrix of all pairs.

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1; weights computed again in the backward
pass as Dao et al. 2022, arXiv:2205.14135, section 3.1, here in blocks of queries only.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd
from torch.autograd.function import once_differentiable

BLOCK = 2**23  # pairs whose weights are held at once: 32 MiB in fp32, whatever the image
LANES = 8  # the fused kernels take channels in multiples of this


def attend(query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
    """softmax(scale * query @ key^T) @ value, the softmax over the keys.

    By torch's fused kernel or in blocks of queries; neither forms all N x M weights, forwards or
    backwards. The fused CPU kernel wants queries as wide as the values and loses to the blocks
    where they must be widened (benchmarks/attention_memory.py). `torch.export` and `torch.compile`,
    which cannot read a loop over blocks, always get the fused one.

    Args:
        query: (B, N, D)
        key: (B, M, D)
        value: (B, M, C), of the query's dtype.
        scale: Factor on every inner product: 1 in DANet, D^-0.5 in OCNet.

    Returns:
        (B, N, C) of the value's dtype. Inner products and softmax are in fp32.
    """
    is_uneven = query.shape[2] != value.shape[2]
    if query.is_cpu and is_uneven and not torch.compiler.is_compiling():
        return in_blocks(query, key, value, scale=scale)
    return fused(query, key, value, scale=scale)


def in_blocks(query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
    """`attend` in plain matrix products, for a CPU; on vectors that lie together in memory, since
    every block reads all keys and values: in bf16 that is three times as fast."""
    query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
    return _Blockwise.apply(query, key, value, scale)  # type: ignore[no-any-return]


def fused(query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
    """`attend` by torch's kernel, its inputs widened by zeros, which change no inner product."""
    channels = value.shape[2]
    multiple = max(query.shape[2], channels) if query.is_cpu else LANES
    query, key, value = (_widen(t, multiple).unsqueeze(1) for t in (query, key, value))
    with without_autocast(query):
        attended = F.scaled_dot_product_attention(query, key, value, scale=scale)
    return attended[:, 0, :, :channels]


def _widen(vectors: Tensor, multiple: int) -> Tensor:
    """To the next multiple of so many channels, which lie side by side in memory: given others,
    torch forms all weights without a word."""
    return F.pad(vectors, (0, -vectors.shape[2] % multiple)).contiguous()


def without_autocast(maps: Tensor) -> torch.autocast:
    """For sums and differences that bf16 would spoil; also where no autocast is known (meta)."""
    device = maps.device.type
    return torch.autocast("cpu" if device == "meta" else device, enabled=False)


def positions(maps: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h * w, C), row by row; a view."""
    return maps.flatten(2).mT


def as_maps(vectors: Tensor, like: Tensor) -> Tensor:
    """(B, h * w, C) -> (B, C, h, w), back again, at the size of `like`; a view."""
    return vectors.mT.unflatten(2, like.shape[-2:])


class _Blockwise(torch.autograd.Function):
    """Some queries at a time against all keys."""

    @staticmethod
    @custom_fwd(device_type="cpu")
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:  # type: ignore[override]
        attended = value.new_empty(*query.shape[:2], value.shape[2])
        with torch.autocast("cpu", enabled=False):
            for images, rows in _blocks(query, key):
                weights = _weights(query[images, rows], key[images], scale)
                attended[images, rows] = weights.to(value.dtype) @ value[images]
        ctx.save_for_backward(query, key, value, attended)
        ctx.scale = scale
        return attended

    @staticmethod
    @once_differentiable
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # type: ignore[override]
        query, key, value, attended = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):
            grads = _gradients(query, key, value, attended, upstream.contiguous(), ctx.scale)
        return *grads, None


def _gradients(
    query: Tensor, key: Tensor, value: Tensor, attended: Tensor, upstream: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Of query, key and value. With weights P and dP = upstream @ value^T, the scores' gradient is
    P (dP - <P, dP>), row by row, and <P, dP> = <attended, upstream>."""
    dtype = value.dtype
    grad_query = torch.empty_like(query)
    grad_key, grad_value = torch.zeros_like(_wide(key)), torch.zeros_like(_wide(value))
    shift = (_wide(attended) * _wide(upstream)).sum(dim=2, keepdim=True)  # (B, N, 1)
    for images, rows in _blocks(query, key):
        weights = _weights(query[images, rows], key[images], scale)
        grad = upstream[images, rows]
        grad_value[images] += weights.to(dtype).mT @ grad
        grad_scores = _wide(grad @ value[images].mT).sub_(shift[images, rows]).mul_(weights)
        grad_scores = grad_scores.mul_(scale).to(dtype)
        grad_query[images, rows] = grad_scores @ key[images]
        grad_key[images] += grad_scores.mT @ query[images, rows]
    return grad_query, grad_key.to(dtype), grad_value.to(dtype)


def _weights(query: Tensor, key: Tensor, scale: float) -> Tensor:
    """(images, rows, M), in fp32 at least: a score of 30 is off by 0.06 in bf16."""
    return torch.softmax((_wide(query) * scale) @ _wide(key).mT, dim=2)


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _blocks(query: Tensor, key: Tensor) -> Iterator[tuple[slice, slice]]:
    """Several whole images, or one image's rows in several blocks."""
    batch, positions = query.shape[:2]
    images = max(1, BLOCK // (positions * key.shape[1]))
    rows = max(1, BLOCK // key.shape[1])
    for image in range(0, batch, images):
        for row in range(0, positions, rows):
            yield slice(image, image + images), slice(row, row + rows)
