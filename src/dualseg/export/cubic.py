"""Antialiased bicubic resizing, as vision transformers resize position embeddings, as products.

Exporters refuse torch's own operation, or fix the size it was traced at.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

SHARPNESS = -0.5  # of the cubic filter; torch's own where it antialiases


class DenseCubic(TorchFunctionMode):
    """Inside, `interpolate(mode="bicubic", antialias=True)` is two products with matrices."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func is F.interpolate and named.get("mode") == "bicubic" and named.get("antialias"):
            size = named.get("size", args[1] if len(args) > 1 else None)
            if size is not None and not named.get("align_corners"):
                return resized(args[0], size)
        return func(*args, **named)


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(B, C, h, w) -> (B, C, *size), as torch's own up to rounding."""
    rows = _weights(maps.shape[2], size[0])
    columns = _weights(maps.shape[3], size[1])
    return rows @ maps @ columns.T


def _weights(have: int, want: int) -> Tensor:
    """(want, have): what each old position gives to each new one."""
    step = torch.full((1,), have).float() / torch.full((1,), want).float()
    reach = step.clamp(min=1.0)
    centres = (torch.arange(want).float() + 0.5) * step
    positions = torch.arange(have).float() + 0.5
    distance = (positions.unsqueeze(0) - centres.unsqueeze(1)).abs() / reach
    a = SHARPNESS
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    weights = torch.where(distance < 1, near, far) * (distance < 2)
    return weights / weights.sum(dim=1, keepdim=True)
