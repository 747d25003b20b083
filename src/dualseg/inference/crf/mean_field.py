"""Mean-field inference in a fully connected CRF with Gaussian edge potentials."""

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.inference.crf.lattice import BilateralFilter
from dualseg.inference.crf.settings import CrfSettings

MIN_PROBABILITY = 1e-5
"""Lower ones are raised to it, so that no class is beyond rescue."""
GAUSSIAN_RADIUS = 5.0
"""In standard deviations; the rest of the kernel is below 4e-6 of its peak."""
CHANNELS_AT_ONCE = 10
"""A compromise: more are faster, fewer take less memory."""

Filter = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N, C) -> (N, C): for each pixel the sum over all pixels, weighted by a kernel."""


def dense_crf(
    probabilities: NDArray[np.float32],
    image: NDArray[np.uint8],
    settings: CrfSettings,
    *,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Sharpens probabilities: pixels near each other and alike in colour agree on a class.

    Every pixel is connected with every other by two Gaussian kernels, one in position and colour,
    one in position alone; unlike classes cost (Potts). Each kernel is normalised symmetrically, by
    D^-1/2 K D^-1/2 with D the sum over a row of K, and holds the pixel itself, as in the authors'
    code.

    Args:
        probabilities: (K, H, W), over K adding up to 1.
        image: (H, W, 3) uint8 RGB of the same size.
        settings: Weights and widths.
        threads: As many as torch uses where not given.

    Returns:
        (K, H, W) float32, over K adding up to 1.

    Raises:
        InputError: Sizes or types do not fit, or widths are too small for the lattice.

    Source: Krähenbühl and Koltun 2011, arXiv:1210.5644. Differs: the position kernel is summed
        exactly; only the bilateral one is approximate.
    """
    _require_fit(probabilities, image)
    bilateral = None
    if settings.bi_w > 0:
        bilateral = BilateralFilter(
            np.ascontiguousarray(image),
            xy_std=settings.bi_xy_std,
            rgb_std=settings.bi_rgb_std,
            threads=threads or torch.get_num_threads(),
        )
    return sharpen(probabilities, settings, bilateral)


def sharpen(
    probabilities: NDArray[np.float32], settings: CrfSettings, bilateral: Filter | None
) -> NDArray[np.float32]:
    """`dense_crf` with a bilateral filter at hand, so that one serves many weights.

    Args:
        probabilities: (K, H, W).
        settings: Its `bi_xy_std` and `bi_rgb_std` are those of the filter.
        bilateral: None where `bi_w` is 0.
    """
    num_classes, height, width = probabilities.shape
    kernels: list[tuple[float, Filter]] = []
    if settings.bi_w > 0 and bilateral is not None:
        kernels.append((settings.bi_w, bilateral))
    if settings.pos_w > 0:
        position = position_filter((height, width), settings.pos_xy_std)
        kernels.append((settings.pos_w, position))
    roots = [_inverse_root_degree(kernel, height * width) for _, kernel in kernels]
    log_probs = np.empty((height * width, num_classes), np.float32)
    log_probs[:] = probabilities.reshape(num_classes, -1).T
    np.maximum(log_probs, MIN_PROBABILITY, out=log_probs)
    np.log(log_probs, out=log_probs)
    belief, energy = _softmax(log_probs.copy()), np.empty_like(log_probs)
    for _ in range(settings.iterations):
        energy[:] = log_probs
        for (weight, kernel), root in zip(kernels, roots, strict=True):
            for first in range(0, num_classes, CHANNELS_AT_ONCE):
                part = slice(first, first + CHANNELS_AT_ONCE)
                message = kernel(belief[:, part] * root)
                message *= root * np.float32(weight)
                energy[:, part] += message
        belief, energy = _softmax(energy), belief
    return np.ascontiguousarray(belief.T).reshape(num_classes, height, width)


def position_filter(size: tuple[int, int], std: float) -> Filter:
    """The sum over all pixels, weighted by exp(-distance^2 / 2 std^2), by rows and columns."""
    height, width = size
    radius = min(math.ceil(GAUSSIAN_RADIUS * std), max(height, width))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / std) ** 2).astype(np.float32)

    def filtered(values: NDArray[np.float32]) -> NDArray[np.float32]:
        maps = values.reshape(height, width, -1)
        out = np.empty_like(maps)
        for first in range(0, maps.shape[2], 4):  # OpenCV filters up to four channels at once
            part = np.ascontiguousarray(maps[..., first : first + 4])
            done = cv2.sepFilter2D(part, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_CONSTANT)
            out[..., first : first + 4] = done.reshape(part.shape)
        return out.reshape(values.shape)

    return filtered


def _inverse_root_degree(kernel: Filter, num_pixels: int) -> NDArray[np.float32]:
    """(N, 1): D^-1/2."""
    degree = kernel(np.ones((num_pixels, 1), np.float32))
    return np.reciprocal(np.sqrt(np.maximum(degree, np.finfo(np.float32).tiny)))


def _softmax(energy: NDArray[np.float32]) -> NDArray[np.float32]:
    """In place, over the last axis."""
    tensor = torch.from_numpy(energy)
    torch.softmax(tensor, dim=1, out=tensor)
    return energy


def _require_fit(probabilities: NDArray[np.float32], image: NDArray[np.uint8]) -> None:
    if probabilities.ndim != 3 or probabilities.dtype != np.float32:
        raise InputError(
            f"got probabilities of {probabilities.dtype} with shape {probabilities.shape}; the CRF "
            "takes float32 of shape (K, H, W)"
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            f"got an image of {image.dtype} with shape {image.shape}; the CRF takes uint8 RGB of "
            "shape (H, W, 3)"
        )
    if image.shape[:2] != probabilities.shape[1:]:
        raise InputError(
            f"the image is {image.shape[0]}x{image.shape[1]} and the probabilities "
            f"{probabilities.shape[1]}x{probabilities.shape[2]}; the CRF needs both at one size"
        )
