"""Attention over all positions in products that a runtime's graph can hold."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.export.rewrites.copying import replace_module, shared_copy
from dualseg.models.attention import as_maps, positions
from dualseg.models.heads.danet import PositionAttention
from dualseg.models.heads.ocnet import SelfAttention

PARTS = (1, 4, 16)


def split_attention(model: nn.Module, parts: int) -> nn.Module:
    """Every attention among all positions with its queries in so many parts, one after the other.

    A graph has no loop over blocks, and the fused kernel wants queries as wide as the values, which
    is eight times the work in DANet. One part is the plain product, all weights at once; with more,
    a part's weights stay in the cache between softmax and product.

    Args:
        model: Left as it is; all weights are shared.
        parts: At least 1. Attention inside the regions of a grid stays as it is.
    """
    rewritten = shared_copy(model)
    for name, module in list(rewritten.named_modules()):
        if attends_everywhere(module):
            replace_module(rewritten, name, in_parts(parts)(module))
    return rewritten


def attends_everywhere(module: nn.Module) -> bool:
    """Whether it is DANet's attention among positions or OCNet's in one region."""
    return isinstance(module, PositionAttention) or (
        isinstance(module, SelfAttention) and module.grid == 1
    )


def in_parts(parts: int) -> Callable[[nn.Module], nn.Module]:
    """The form with so many parts of a module that `attends_everywhere`."""

    def rewritten(module: nn.Module) -> nn.Module:
        if isinstance(module, PositionAttention):
            return PositionAttentionInParts(module, parts)
        assert isinstance(module, SelfAttention)
        return SelfAttentionInParts(module, parts)

    return rewritten


class PositionAttentionInParts(nn.Module):
    """DANet's attention among positions.

    Args:
        attention: Its layers are used, not copied.
        parts: Of the queries.

    Shape: (B, C, h, w) -> (B, C, h, w)
    """

    def __init__(self, attention: PositionAttention, parts: int):
        super().__init__()
        self.attention = attention
        self.parts = parts

    def forward(self, maps: Tensor) -> Tensor:
        own = self.attention
        query, key, value = (positions(layer(maps)) for layer in (own.query, own.key, own.value))
        return maps + own.gamma * as_maps(attend_in_parts(query, key, value, self.parts), maps)


class SelfAttentionInParts(nn.Module):
    """OCNet's attention in one region.

    Args:
        attention: Its layers are used, not copied.
        parts: Of the queries.

    Shape: (B, C, h, w) -> (B, C, h, w)
    """

    def __init__(self, attention: SelfAttention, parts: int):
        super().__init__()
        self.attention = attention
        self.parts = parts

    def forward(self, maps: Tensor) -> Tensor:
        own = self.attention
        key, value = positions(own.key(maps)), positions(own.value(maps))
        attended = as_maps(attend_in_parts(own.scale * key, key, value, self.parts), maps)
        return F.conv2d(attended, own.output.weight[:, :, None, None], own.output.bias)


def attend_in_parts(query: Tensor, key: Tensor, value: Tensor, parts: int) -> Tensor:
    """softmax(query @ key^T) @ value, so many rows of the weights at a time.

    Args:
        query: (B, N, D), scaled.
        key: (B, M, D)
        value: (B, M, C)
        parts: The last one is smaller where they do not come out even.

    Returns:
        (B, N, C)
    """
    transposed = key.transpose(1, 2)  # (B, D, M)
    rows = query.split(-(-query.shape[1] // parts), dim=1)
    return torch.cat([torch.softmax(row @ transposed, dim=2) @ value for row in rows], dim=1)
