"""What every head offers, so that a classifier or a DSRL decoder fits on top of any of them."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class Head(Protocol):
    """Turns a backbone's features into the one map that labels are predicted from.

    Attributes:
        out_channels: Channels of that map.
        out_stride: Input size divided by its size.
        dropout: Applied before the classifier, element by element; 0 for none.
    """

    out_channels: int
    out_stride: int
    dropout: float

    def __call__(self, features: Sequence[Tensor]) -> Tensor: ...
