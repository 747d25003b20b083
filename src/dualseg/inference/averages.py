"""How several answers about one image become one, in fp32."""

from typing import Literal, get_args

import torch
from torch import Tensor

from dualseg.core.errors import InputError, nearest

Average = Literal["softmax", "logits"]
"""softmax: the mean of the probabilities; logits: the mean of the raw scores."""


def as_summands(logits: Tensor, average: Average) -> Tensor:
    """What is added up, of logits (B, K, H, W)."""
    return logits.float().softmax(dim=1) if average == "softmax" else logits.float()


def as_logits(mean: Tensor, average: Average) -> Tensor:
    """Logits whose softmax is the mean probability, or the mean logits as they are."""
    if average == "logits":
        return mean
    return mean.clamp_min(torch.finfo(torch.float32).tiny).log()


def require_average(name: str) -> None:
    """Raises InputError for a name that is no `Average`."""
    if name not in get_args(Average):
        raise InputError(f"average {name!r} is unknown; {nearest(name, get_args(Average))}")
