"""What every head offers, so that a classifier or a DSRL decoder fits on top of any of them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor, nn

from dualseg.models.backbones.features import FeatureInfo


class HeadOutput(NamedTuple):
    """The map labels are predicted from, and maps that training-only classifiers read.

    Attributes:
        features: (B, out_channels, h, w)
        side_features: One (B, C_i, h_i, w_i) for each entry of the head's `side_info`.
    """

    features: Tensor
    side_features: tuple[Tensor, ...] = ()


class Head(Protocol):
    """Turns a backbone's features into the one map that labels are predicted from.

    Attributes:
        out_channels: Channels of that map.
        out_stride: Input size divided by its size.
        dropout: Applied before the classifier, element by element; 0 for none.
        side_info: Channels and strides of the side features.
    """

    out_channels: int
    out_stride: int
    dropout: float
    side_info: tuple[FeatureInfo, ...]

    def __call__(self, features: Sequence[Tensor]) -> HeadOutput: ...


class TapHead(nn.Module):
    """Passes one map through: for classifiers that sit on a side feature directly.

    Args:
        feature_info: Channels and strides of the maps it is given.
        index: Which of them it passes on.
        dropout: Before the classifier.

    Shape: features[index], unchanged
    """

    side_info: tuple[FeatureInfo, ...] = ()

    def __init__(self, feature_info: Sequence[FeatureInfo], *, index: int, dropout: float = 0.0):
        super().__init__()
        self.index = index
        self.dropout = dropout
        self.out_channels, self.out_stride = feature_info[index]

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        return HeadOutput(features[self.index])
