"""Boundary loss: probability is charged by its distance from the true region."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dualseg.losses.expected_score import expected_score
from dualseg.losses.slices import accumulator, count_valid


def boundary_loss(
    logits: Tensor, target: Tensor, *, ignore_index: int = 255, num_valid: float | None = None
) -> Tensor:
    """Mean over valid pixels of the sum over classes of softmax times signed distance.

    The distance of a pixel to a class's region is positive outside and negative within, so the loss
    falls below zero; it says nothing about a class that is not in the image, and is meant beside a
    loss on regions, with a small weight (the paper begins with 0.01). Ignored pixels belong to no
    region.

    Args:
        logits: (B, K, H, W).
        target: (B, H, W) class ids or `ignore_index`. The distances are computed on the CPU, class
            by class, also when the logits are on a GPU.
        ignore_index: Id of pixels that do not count.
        num_valid: Valid pixels of the whole batch, when this is a part of it; parts add up.

    Source: Kervadec et al. 2019, arXiv:1812.07032, equation 5, with the sum over all classes in an
        image.
    """
    if num_valid is None:
        num_valid = count_valid(target, ignore_index)
    distances = signed_distances(target, num_classes=logits.shape[1])
    scores = distances.to(logits.device, accumulator(logits))
    return expected_score(logits, scores, target, ignore_index=ignore_index) / max(num_valid, 1)


def signed_distances(target: Tensor, *, num_classes: int) -> Tensor:
    """Distance in pixels to the nearest pixel of the class, or, negative, out of it, less one.

    Pixels next to the boundary have 1 outside and 0 inside. A class without a pixel in the image,
    or that fills it, has 0 everywhere.

    Shape: (B, H, W) ids -> (B, K, H, W) in fp32, on the CPU
    """
    ids = target.cpu().numpy()
    distances = np.zeros((len(ids), num_classes, *ids.shape[1:]), np.float32)
    for of_image, label_map in zip(distances, ids, strict=True):
        for k in np.unique(label_map):
            if 0 <= k < num_classes:
                of_image[k] = _signed_distance(label_map == k)
    return torch.from_numpy(distances)


def _signed_distance(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    if region.all():
        return np.zeros(region.shape, np.float32)
    return _distance(~region) - np.maximum(_distance(region) - 1, 0)


def _distance(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """To the nearest pixel out of the region; 0 there."""
    picture = region.astype(np.uint8)
    exact = cv2.distanceTransform(picture, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(exact, np.float32)
