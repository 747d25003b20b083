"""How far a reconstructed image is from the true one."""

import torch.nn.functional as F
from torch import Tensor


def reconstruction_loss(image_sr: Tensor, image: Tensor) -> Tensor:
    """Mean squared error over images, channels and pixels, in fp32.

    Args:
        image_sr: (B, 3, H, W) reconstruction.
        image: (B, 3, H, W) target, scaled as the reconstruction should be.

    Source: Wang et al. 2020, section 3.1.
    """
    return F.mse_loss(image_sr.float(), image.float())
