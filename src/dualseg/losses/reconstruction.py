"""How far a reconstructed image is from the true one."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

CHARBONNIER_EPSILON = 1e-3

ReconstructionKind = Literal["l2", "l1", "charbonnier"]


def reconstruction_loss(
    image_sr: Tensor, image: Tensor, *, kind: ReconstructionKind = "l2"
) -> Tensor:
    """Mean difference over images, channels and pixels, in fp32.

    Args:
        image_sr: (B, 3, H, W) reconstruction.
        image: (B, 3, H, W) target, scaled as the reconstruction should be.
        kind: "l2": squared (the paper's); "l1": absolute; "charbonnier": sqrt(d^2 + 1e-6), an
            absolute difference that is smooth at 0.

    Source: Wang et al. 2020, section 3.1; Lai et al. 2017, arXiv:1704.03915, for Charbonnier.
    """
    if kind == "l2":
        return F.mse_loss(image_sr.float(), image.float())
    if kind == "l1":
        return F.l1_loss(image_sr.float(), image.float())
    squared = (image_sr.float() - image.float()).square()
    return (squared + CHARBONNIER_EPSILON**2).sqrt().mean()
