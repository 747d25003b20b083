"""What a segmentation network returns, in training and in evaluation alike."""

from typing import NamedTuple

from torch import Tensor


class SegmentationOutput(NamedTuple):
    """Raw results of one forward pass. Fields a network does not have are None or empty.

    Attributes:
        logits: (B, K, H, W); (B, K, 2H, 2W) for a DSRL network.
        auxiliary_logits: One (B, K, H, W) for each auxiliary head; training only.
        image_sr: (B, 3, 2H, 2W) reconstructed normalised image; DSRL stages 2 and 3, training only.
        features_seg: (B, C, h, w) label-side features to compare; DSRL stage 3, training only.
        features_sr: (B, C, h, w) image-side features to compare; DSRL stage 3, training only.
        features: (B, C, h, w) the last map before the prediction; training only.
    """

    logits: Tensor
    auxiliary_logits: tuple[Tensor, ...] = ()
    image_sr: Tensor | None = None
    features_seg: Tensor | None = None
    features_sr: Tensor | None = None
    features: Tensor | None = None
