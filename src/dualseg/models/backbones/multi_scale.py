"""One backbone on several sizes of one image."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.backbone import Backbone
from dualseg.models.backbones.features import FeatureInfo


class MultiScaleBackbone(nn.Module):
    """All features of the image, then the deepest feature of each shrunk copy; shared weights.

    The strides declared for the copies are rounded: 8 / 0.75 is no whole number, and a copy's own
    size is rounded too. Batch norm meets every scale in a training step (the papers froze it).

    Args:
        body: The backbone.
        scales: Factors on height and width, 1 first.
        align_corners: Of shrinking the image. False: to floor(H * scale), at least 1, kazuto1011's
            port; True: to floor(H * scale) + 1, isht7's.

    Shape: (B, C, H, W) -> the body's features, then one (B, C, ...) for each smaller scale

    Raises:
        InputError: scales do not start with 1, or one of them is not between 0 and 1.

    Source: Chen et al. 2017, arXiv:1606.00915, section 4.1.2 (scales 0.5, 0.75, 1).
    """

    def __init__(
        self,
        body: Backbone,
        *,
        scales: Sequence[float] = (1.0, 0.75, 0.5),
        align_corners: bool = False,
    ):
        super().__init__()
        if not scales or scales[0] != 1.0 or not all(0 < scale < 1 for scale in scales[1:]):
            raise InputError(f"scales {tuple(scales)} must be 1 and then numbers between 0 and 1")
        self.body = body
        self.scales = tuple(scales)
        self.align_corners = align_corners
        deepest = body.feature_info[-1]
        self.feature_info = (
            *body.feature_info,
            *(FeatureInfo(deepest.channels, round(deepest.stride / s)) for s in self.scales[1:]),
        )
        self.auxiliary_index = body.auxiliary_index % len(body.feature_info)

    def forward(self, images: Tensor) -> list[Tensor]:
        features = list(self.body(images))
        for scale in self.scales[1:]:
            features.append(self.body(self._shrink(images, scale))[-1])
        return features

    def _shrink(self, images: Tensor, scale: float) -> Tensor:
        if not self.align_corners:
            shortest = math.ceil(1 / scale)  # of which one pixel is left; shorter sides repeat
            bottom, right = (max(0, shortest - side) for side in images.shape[-2:])
            if bottom or right:
                images = F.pad(images, (0, right, 0, bottom), mode="replicate")
            return F.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)
        size = [int(side * scale) + 1 for side in images.shape[-2:]]
        return F.interpolate(images, size=size, mode="bilinear", align_corners=True)
