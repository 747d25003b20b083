"""How large a network is and what one image costs, without running it."""

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dualseg.core.geometry import Size


class Complexity(NamedTuple):
    """Attributes:
    parameters: Trainable numbers of the network as it is, training-only parts included.
    gflops: Floating-point operations for one image, in 10^9; a multiply-add counts as two.
    size: (height, width) of that image.
    """

    parameters: int
    gflops: float
    size: Size


def measure_complexity(model: nn.Module, size: Size) -> Complexity:
    """Counts the convolutions, matrix products and attention of one inference pass.

    Build the network under `torch.device("meta")` and nothing is allocated or computed; a real
    network is run once. Element-wise work and resizing are not counted, as nobody counts them.

    Args:
        model: Put into evaluation mode for the pass, and back.
        size: (height, width) of the input.
    """
    parameters = list(model.parameters())
    in_channels = getattr(model, "architecture", {}).get("in_channels", 3)
    images = torch.zeros(1, in_channels, *size, device=parameters[0].device)
    was_training = model.training
    model.eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(images)
    model.train(was_training)
    total = sum(parameter.numel() for parameter in parameters)
    return Complexity(total, counter.get_total_flops() / 1e9, size)
