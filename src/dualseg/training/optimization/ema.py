"""An average of the weights over the last steps, which scores better than the weights."""

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn


class WeightAverage:
    """A copy of a network that follows it slowly.

    Parameters and floating-point buffers are averaged; integer buffers (counters) are copied. Early
    averages forget faster, so that the random start does not linger: decay is
    min(decay, (1 + step) / (10 + step)).

    Args:
        model: Network to follow.
        decay: Share of the old average that stays in one step, 0 to 1.

    Source: Polyak & Juditsky 1992; the warm-up is TensorFlow's ExponentialMovingAverage with
    `num_updates`.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.model = deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Moves the average towards `model`.

        Args:
            model: The network that was trained.
            step: Updates made before this one; the only state beside the tensors.
        """
        weight = 1.0 - min(self.decay, (1 + step) / (10 + step))
        averages, values = self.model.state_dict(), model.state_dict()
        for name, average in averages.items():
            if average.is_floating_point():
                average.lerp_(values[name].to(average.dtype), weight)
            else:
                average.copy_(values[name])

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged network's weights."""
        return self.model.state_dict()

    def load_state_dict(self, weights: Mapping[str, Tensor]) -> None:
        """Goes on from saved averages."""
        self.model.load_state_dict(weights)
