"""Exact softmax attention without the matrix of all pairs.

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1; in blocks with a recomputed backward as
Dao et al. 2022, arXiv:2205.14135, here in blocks of queries only.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 2**22  # pairs whose weights are held at once: 16 MiB in fp32, whatever the image
LANES = 8  # the fused kernels take channels in multiples of this


def attend(query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
    """softmax(scale * query @ key^T) @ value, over the keys.

    On a CPU in blocks of queries, elsewhere by torch's fused kernels; neither forms all N x M
    weights, forwards or backwards. torch's fused CPU kernel wants queries as wide as the values and
    gains nothing from bf16 (see benchmarks/attention_memory.py), so it serves only `torch.export`
    and `torch.compile` there, which cannot read a loop over blocks.

    Args:
        query: (B, N, D)
        key: (B, M, D)
        value: (B, M, C), of the query's dtype.
        scale: Factor on every inner product: 1 for DANet, D^-0.5 for OCNet.

    Returns:
        (B, N, C) of the value's dtype; the inner products and the softmax are in fp32.
    """
    query = query * scale
    with torch.autocast(query.device.type, enabled=False):
        if query.is_cpu and not torch.compiler.is_compiling():
            return _Blockwise.apply(query, key, value)  # type: ignore[no-any-return]
        return _fused(query, key, value)


class _Blockwise(torch.autograd.Function):
    """Some queries at a time against all keys; the backward pass computes the weights again."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:  # type: ignore[override]
        attended = value.new_empty(*query.shape[:2], value.shape[2])
        for images, rows in _blocks(query, key):
            weights = _weights(query[images, rows], key[images])
            attended[images, rows] = weights.to(value.dtype) @ value[images]
        ctx.save_for_backward(query, key, value, attended)
        return attended

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        query, key, value, attended = ctx.saved_tensors
        dtype = value.dtype
        grad_query = torch.empty_like(query)
        grad_key = torch.zeros_like(key, dtype=torch.float32)
        grad_value = torch.zeros_like(value, dtype=torch.float32)
        mean = (upstream.float() * attended.float()).sum(dim=2, keepdim=True)  # of the row's grads
        for images, rows in _blocks(query, key):
            weights = _weights(query[images, rows], key[images])
            grad = upstream[images, rows]
            grad_value[images] += weights.to(dtype).mT @ grad
            grad_scores = (grad @ value[images].mT).float().sub_(mean[images, rows]).mul_(weights)
            grad_scores = grad_scores.to(dtype)
            grad_query[images, rows] = grad_scores @ key[images]
            grad_key[images] += grad_scores.mT @ query[images, rows]
        return grad_query, grad_key.to(dtype), grad_value.to(dtype)


def _weights(query: Tensor, key: Tensor) -> Tensor:
    return torch.softmax(query.float() @ key.float().mT, dim=2)  # (images, rows, M)


def _blocks(query: Tensor, key: Tensor) -> Iterator[tuple[slice, slice]]:
    """Whole images while they fit, else rows of one image."""
    batch, positions = query.shape[:2]
    rows = max(1, min(positions, BLOCK // key.shape[1]))
    images = max(1, BLOCK // (positions * key.shape[1]))
    for image in range(0, batch, images):
        for row in range(0, positions, rows):
            yield slice(image, image + images), slice(row, row + rows)


def _fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Widened with zeros, which change no inner product, to what the kernels take."""
    channels = value.shape[2]
    wanted = max(query.shape[2], channels) if query.is_cpu else LANES
    query, key, value = (_widen(t, wanted).unsqueeze(1) for t in (query, key, value))
    attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
    return attended[:, 0, :, :channels]


def _widen(vectors: Tensor, multiple: int) -> Tensor:
    """To the next multiple of that many channels."""
    missing = -vectors.shape[2] % multiple
    return F.pad(vectors, (0, missing)) if missing else vectors
