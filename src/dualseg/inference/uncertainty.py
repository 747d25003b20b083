"""How sure a network is, pixel by pixel and for a whole image.

A network can be sure and wrong, on images unlike any it was trained on more than elsewhere: what is
unfamiliar shows better in the features (`feature_shift`) than in the entropy.
"""

import math

import torch
from torch import Tensor


def confidence(logits: Tensor) -> Tensor:
    """Probability of the predicted class.

    Shape: (B, K, H, W) -> (B, H, W), from 1 / K to 1
    """
    return logits.float().softmax(dim=1).amax(dim=1)


def entropy(logits: Tensor) -> Tensor:
    """Entropy of the class probabilities as a share of the largest possible one.

    Shape: (B, K, H, W) -> (B, H, W), 0 (sure) to 1 (all classes alike); 0 where K is 1
    """
    num_classes = logits.shape[1]
    if num_classes == 1:
        return torch.zeros_like(logits[:, 0], dtype=torch.float32)
    log_probs = logits.float().log_softmax(dim=1)
    return (-(log_probs.exp() * log_probs).sum(dim=1) / math.log(num_classes)).clamp(0, 1)


def image_uncertainty(logits: Tensor) -> tuple[float, float]:
    """Mean confidence and mean entropy over the pixels of one image.

    Shape: (1, K, H, W)
    """
    sure, unsure = confidence(logits), entropy(logits)
    return float(sure.mean(dtype=torch.float64)), float(unsure.mean(dtype=torch.float64))
