"""Windows that slide over the image, for networks that are tied to their training size."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.inference.averages import Average, as_logits, as_summands, require_average
from dualseg.inference.strategies import LogitsFunction


def slide(
    logits: LogitsFunction,
    *,
    window: Size,
    stride: Size,
    mean: Sequence[float],
    average: Average = "softmax",
) -> LogitsFunction:
    """Asks about one window after the other and averages where windows overlap.

    The last window of a row or column is moved back so that it ends with the image. An image
    smaller than the window is filled up at the bottom and on the right with the mean colour,
    which the network sees as zero; nothing of the answer there is kept.

    Args:
        logits: The strategy that is asked about each window.
        window: (height, width) in pixels of the image.
        stride: From one window to the next; at most the window.
        mean: Of each band in 0..1, as in `ModelFacts`.
        average: "softmax" averages probabilities in fp32, "logits" raw scores.

    Raises:
        InputError: A stride beyond its window, sizes below one pixel, or an unknown average.
    """
    require_window(window, stride)
    require_average(average)

    def answer(images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        images = _filled_up(images, window, mean)
        total = count = None
        for top in starts(images.shape[-2], window[0], stride[0]):
            for left in starts(images.shape[-1], window[1], stride[1]):
                place = (..., slice(top, top + window[0]), slice(left, left + window[1]))
                part = as_summands(logits(images[place]), average)
                if total is None or count is None:
                    total = part.new_zeros(*part.shape[:2], *images.shape[-2:])
                    count = part.new_zeros(images.shape[-2:])
                total[place] += part
                count[place] += 1
        assert total is not None
        assert count is not None
        return as_logits(total / count, average)[..., :height, :width].contiguous()

    return answer


def starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows start along a side of `length`, which is at least `window`."""
    last = length - window
    return [*range(0, last, stride), last]


def require_window(window: Size, stride: Size) -> None:
    """Raises InputError for a window or a stride that covers no image."""
    shown = f"window {window[0]}x{window[1]}, stride {stride[0]}x{stride[1]}"
    if min(*window, *stride) < 1:
        raise InputError(f"{shown}: every number must be at least 1")
    if stride[0] > window[0] or stride[1] > window[1]:
        raise InputError(
            f"{shown}: the stride is larger than the window, which leaves pixels without an "
            "answer; two thirds of the window are usual"
        )


def _filled_up(images: Tensor, window: Size, mean: Sequence[float]) -> Tensor:
    height, width = images.shape[-2:]
    size = max(height, window[0]), max(width, window[1])
    if size == (height, width):
        return images
    fill = 255 * torch.tensor(mean).view(1, -1, 1, 1)
    fill = fill.to(images.device) if images.is_floating_point() else fill.round().to(images)
    filled = fill.to(images.dtype).expand(len(images), -1, *size).clone()
    filled[..., :height, :width] = images
    return filled
