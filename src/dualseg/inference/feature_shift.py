"""How far an image's features lie from those a network was trained on.

Every batch norm keeps the mean and variance that its input had in training. An image unlike the
training data gives other means and variances, also where the network is sure of its answer. So an
image can be told apart without a second network and without a list of training features. It sees
the statistics of the whole image: a strange object in a familiar scene changes them too little, and
so does a familiar scene in a strange place (upside down).
"""

from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

FEWEST_POSITIONS = 16
"""Smaller maps, such as pooled ones, have no variance to speak of."""


class FeatureShift:
    """Watches a network in evaluation mode for the time of a `with` block.

    The shift of a layer is the Kullback-Leibler divergence, in nats, of the Gaussian with the
    image's mean and variance from the one with the running mean and variance, averaged over
    channels; that of an image is the mean over layers, and over forward passes where a protocol
    takes several. Compare numbers of one network under one protocol only.

    Args:
        model: With batch norms that keep running statistics; without any there is no number.
    """

    def __init__(self, model: nn.Module):
        self._norms = [
            module
            for module in model.modules()
            if isinstance(module, _BatchNorm) and module.running_mean is not None
        ]
        self._hooks: list[Any] = []
        self._shifts: list[Tensor] = []

    def __enter__(self) -> "FeatureShift":
        self._hooks = [norm.register_forward_pre_hook(self._watch) for norm in self._norms]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def take(self) -> float | None:
        """The shift over all forward passes since the last call; None without a batch norm."""
        shifts, self._shifts = self._shifts, []
        if not shifts:
            return None
        return float(torch.stack(shifts).mean(dtype=torch.float64))

    def _watch(self, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        features = inputs[0].float()
        if features.dim() != 4 or features.shape[-2] * features.shape[-1] < FEWEST_POSITIONS:
            return
        assert isinstance(norm, _BatchNorm)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        variance, mean = torch.var_mean(features, dim=(0, 2, 3), correction=0)
        known = norm.running_var.float() + norm.eps
        ratio = (variance + norm.eps) / known
        moved = (mean - norm.running_mean.float()).square() / known
        self._shifts.append((0.5 * (ratio - ratio.log() + moved - 1)).mean())
