"""Numbers a network can compute with: finite, also as float32, which every weight becomes."""

import torch
from torch import Tensor

NOT_FINITE = "NaN or infinity"
TOO_LARGE = "numbers too large for float32"


def number_fault(tensor: Tensor) -> str | None:
    """`NOT_FINITE` or `TOO_LARGE`, whichever keeps a network from using these numbers, or None.

    A float64 of 1e300 is finite, but would be loaded as infinity. Whole numbers have no such fault.
    """
    if not tensor.is_floating_point() or not num_unusable(tensor):
        return None
    return TOO_LARGE if torch.isfinite(tensor).all() else NOT_FINITE


def num_unusable(tensor: Tensor) -> int:
    """How many of the fractions are no finite float32."""
    return int((~torch.isfinite(tensor.float())).sum())
