"""Test-time augmentation with the mirrored image."""

from torch import Tensor

from dualseg.inference.averages import Average, as_logits, as_summands, require_average
from dualseg.inference.strategies import LogitsFunction


def flipped(logits: LogitsFunction, *, average: Average = "softmax") -> LogitsFunction:
    """Asks about the image and its mirror image, and averages the two answers.

    Args:
        logits: The strategy that is asked twice.
        average: "softmax" averages probabilities in fp32, "logits" raw scores.

    Raises:
        InputError: Unknown average.
    """
    require_average(average)

    def both(images: Tensor) -> Tensor:
        plain = as_summands(logits(images), average)
        mirrored = as_summands(logits(images.flip(-1)), average).flip(-1)
        return as_logits((plain + mirrored) / 2, average)

    return both
