"""How sure the network was on every image of a data set, and how familiar each looked."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dualseg.inference.uncertainty import image_uncertainty
from dualseg.metrics.collector import ScoredImage

QUANTILES = (0.5, 0.95, 0.99)


class ImageUncertainty(NamedTuple):
    """Numbers of one image, over all its pixels, labelled or not.

    Attributes:
        confidence: Mean probability of the predicted classes.
        entropy: Mean entropy, as a share of the largest possible.
        feature_shift: See `FeatureShift`; None where the network has no batch norm, or is no
            network but an exported file.
    """

    confidence: float
    entropy: float
    feature_shift: float | None


class Uncertainty:
    """Confidence, entropy and feature shift of every image, and their quantiles.

    The quantiles over images that a network was not trained on, but that are of the same kind, say
    from when on an image is unusual.
    """

    def __init__(self) -> None:
        self.images: dict[int, ImageUncertainty] = {}

    @property
    def per_image(self) -> tuple[ImageUncertainty, ...]:
        """In the data set's order."""
        return tuple(self.images[index] for index in sorted(self.images))

    def add(self, image: ScoredImage) -> None:
        sure, unsure = image_uncertainty(image.logits)
        self.images[image.index] = ImageUncertainty(sure, unsure, image.feature_shift)

    def merge(self, other: "Uncertainty") -> None:
        self.images.update(other.images)

    def result(self, class_names: Sequence[str]) -> dict[str, Any]:
        """`uncertainty`: of each number the mean, and quantiles over images; null without any."""
        plain: dict[str, Any] = {}
        for number, name in enumerate(ImageUncertainty._fields):
            values = [value for image in self.per_image if (value := image[number]) is not None]
            plain[name] = _summary(values) if values else None
        return {"uncertainty": plain}


def _summary(values: list[float]) -> dict[str, float]:
    quantiles = {f"p{100 * share:.0f}": float(np.quantile(values, share)) for share in QUANTILES}
    return {"mean": math.fsum(values) / len(values), **quantiles}
