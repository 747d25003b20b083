"""What every backbone offers, so that a wrapper fits around any of them."""

from typing import Protocol

from torch import Tensor

from dualseg.models.backbones.features import FeatureInfo


class Backbone(Protocol):
    """Turns images into features.

    Attributes:
        feature_info: Channels and strides of the features, fine to coarse.
        auxiliary_index: The feature that an auxiliary head reads.
    """

    feature_info: tuple[FeatureInfo, ...]
    auxiliary_index: int

    def __call__(self, images: Tensor) -> list[Tensor]: ...
