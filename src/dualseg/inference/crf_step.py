"""The fully connected CRF as a strategy: it refines what another strategy says."""

import numpy as np
import torch
from torch import Tensor

from dualseg.core.image_spec import to_rgb
from dualseg.inference.averages import as_logits
from dualseg.inference.crf.settings import CrfSettings
from dualseg.inference.strategies import LogitsFunction


def refined(logits: LogitsFunction, settings: CrfSettings) -> LogitsFunction:
    """Sharpens probabilities along the edges of the image, one image after the other on the CPU.

    Args:
        logits: The strategy that is asked.
        settings: Of the CRF.

    Returns:
        Logits whose softmax is the CRF's answer, on the device of those it was given.
    """
    from dualseg.inference.crf.mean_field import dense_crf

    def answer(images: Tensor) -> Tensor:
        given = logits(images)
        probs = given.float().softmax(dim=1).cpu().numpy()
        pixels = images.permute(0, 2, 3, 1).cpu().numpy()
        sharp = [
            dense_crf(of_image, np.ascontiguousarray(to_rgb(image)), settings)
            for of_image, image in zip(probs, pixels, strict=True)
        ]
        return as_logits(torch.from_numpy(np.stack(sharp)), "softmax").to(given.device)

    return answer
