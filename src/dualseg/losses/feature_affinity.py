"""Feature affinity: do two maps call the same positions alike?

For a map F the affinity of positions i and j is S_ij = <F_i, F_j> / (|F_i| |F_j|). The loss is the
mean over all pairs of |S_ij(seg) - S_ij(sr)|. It needs N^2 numbers for N positions, so L1 is summed
tile by tile, its gradient on the way, and L2 uses the Gram identity and never forms them.

Source: Wang et al. 2020, section 3.2.
"""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dualseg.losses.slices import sum_type

EPSILON = 1e-6  # added to squared norms: an all-zero position has affinity 0 and a finite gradient
TILE = 512  # positions; 512 x 512 pairs are held at once: 1 MiB in fp32, whatever the image

Normalization = Literal["l2", "none", "spectral"]
Distance = Literal["l1", "l2"]
Pairing = Literal["like", "all"]


def feature_affinity_loss(
    features_seg: Tensor,
    features_sr: Tensor,
    *,
    distance: Distance = "l1",
    normalization: Normalization = "l2",
    pairing: Pairing = "like",
) -> Tensor:
    """Mean over images and pairs of positions of the difference between two affinity matrices.

    Args:
        features_seg: (B, C, h, w) label side.
        features_sr: (B, D, h, w) image side; its own number of channels.
        distance: "l1" (the paper's) or "l2": absolute or squared difference.
        normalization: "l2": each position's vector (the paper's); "none" (Dootmaan's port);
            "spectral": each channel's (h, w) matrix by its largest singular value, columns compared
            in place of positions (sanje2v's port).
        pairing: "like": entry ij with entry ij; "all": every entry of one matrix with every entry
            of the other (sanje2v's port).

    Returns:
        A scalar in fp32, whatever autocast says.

    Raises:
        ValueError: The maps differ in batch, height or width.
    """
    if (
        features_seg.shape[0] != features_sr.shape[0]
        or features_seg.shape[2:] != features_sr.shape[2:]
    ):
        raise ValueError(
            f"feature maps {tuple(features_seg.shape)} and {tuple(features_sr.shape)} must agree "
            "in batch, height and width"
        )
    with torch.autocast(features_seg.device.type, enabled=False):
        seg = _vectors(features_seg.float(), normalization)
        sr = _vectors(features_sr.float(), normalization)
        if pairing == "all":
            return _all_pairs(seg, sr, distance)
        if distance == "l2":
            return _squared_distance(seg, sr)
        return _AbsoluteDistance.apply(seg, sr)  # type: ignore[no-any-return]


def _vectors(features: Tensor, normalization: Normalization) -> Tensor:
    """(B, C, h, w) -> (B, C, N): the vectors whose inner products are the affinities."""
    if normalization == "spectral":
        largest = torch.linalg.matrix_norm(features, ord=2, keepdim=True)
        scaled = features / (largest + EPSILON)
        return scaled.flatten(1, 2)  # columns: (B, C * h, w)
    vectors = features.flatten(2)
    if normalization == "none":
        return vectors
    return vectors * torch.rsqrt(vectors.square().sum(dim=1, keepdim=True) + EPSILON)


class _AbsoluteDistance(torch.autograd.Function):
    """mean |A^T A - B^T B| for (B, C, N) and (B, D, N) in tiles; the gradient on the way.

    With D = A^T A - B^T B and s = sign(D), both symmetric, the gradients of sum |D| are 2 A s and
    -2 B s, and sum |D| = sum s D = <A, A s> - <B, B s>: the gradient holds the loss already. Tiles
    below the diagonal are the transposes of those above it and are not computed.
    """

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:  # type: ignore[override]
        batch, channels, positions = first.shape
        both = torch.cat([first, second], dim=1).mT.contiguous()  # (B, N, C + D)
        signed = torch.cat([first, -second], dim=1).mT.contiguous()
        gradient = torch.zeros_like(both)  # rows of [A s, B s]
        tiles = [slice(start, start + TILE) for start in range(0, positions, TILE)]
        for x, y, grad in zip(both, signed, gradient, strict=True):
            for number, rows in enumerate(tiles):
                for columns in tiles[number:]:
                    sign = (x[rows] @ y[columns].T).sign_()
                    grad[rows].addmm_(sign, x[columns])
                    if columns != rows:
                        grad[columns].addmm_(sign.T, x[rows])
        total = torch.sum(signed * gradient, dtype=sum_type(first.device)).to(first.dtype)
        count = batch * positions**2
        gradient = gradient.mT * (2 / count)
        ctx.save_for_backward(gradient[:, :channels], gradient[:, channels:])
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        first, second = ctx.saved_tensors
        return upstream * first, -upstream * second


def _squared_distance(first: Tensor, second: Tensor) -> Tensor:
    """mean (A^T A - B^T B)^2 without forming either: |A A^T|^2 - 2 |A B^T|^2 + |B B^T|^2."""
    batch, _, positions = first.shape

    def gram(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.mT).square().sum()

    distance = gram(first, first) - 2 * gram(first, second) + gram(second, second)
    return distance.clamp(min=0) / (batch * positions**2)


def _all_pairs(first: Tensor, second: Tensor, distance: Distance) -> Tensor:
    """mean over p, q of |S_p - T_q| or its square, S and T being entries of the two affinities."""
    losses = []
    for a, b in zip(first, second, strict=True):
        entries_a, entries_b = (a.T @ a).flatten(), (b.T @ b).flatten()
        if distance == "l2":
            spread = entries_a.var(correction=0) + entries_b.var(correction=0)
            losses.append(spread + (entries_a.mean() - entries_b.mean()).square())
        else:
            losses.append(_mean_absolute_all(entries_a, entries_b))
    return torch.stack(losses).mean()


def _mean_absolute_all(a: Tensor, b: Tensor) -> Tensor:
    """mean |a_p - b_q| over all p, q, by sorting: below a_p lie `rank` of the b."""
    ordered = b.sort().values
    rank = torch.searchsorted(ordered.detach(), a.detach())
    sums = torch.cat([b.new_zeros(1), ordered.cumsum(0)])
    below = a * rank - sums[rank]
    above = (sums[-1] - sums[rank]) - a * (len(b) - rank)
    return (below + above).sum() / (len(a) * len(b))
