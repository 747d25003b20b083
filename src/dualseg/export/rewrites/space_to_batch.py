"""A dilated convolution as a dense one on every d-th pixel."""

import torch.nn.functional as F
from torch import Tensor, nn


class PhasesConvolution(nn.Module):
    """Regroups the map into d x d maps of every d-th pixel, convolves them densely, regroups back.

    Exact with padding: behind a phase's last pixel lies padding in the map too.

    Args:
        convolution: A dilated 3x3 that keeps the map's size; its weights are used as they are.

    Shape: (B, C, h, w) -> (B, O, h, w)

    Source: Yu and Koltun 2016, arXiv:1511.07122, for the convolution; regrouped as in
        TensorFlow's `space_to_batch`.
    """

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        self.dilation = convolution.dilation[0]
        self.weight, self.bias = convolution.weight, convolution.bias

    def forward(self, maps: Tensor) -> Tensor:
        d = self.dilation
        batch, channels, height, width = maps.shape
        down, across = (height + d - 1) // d, (width + d - 1) // d
        padded = F.pad(maps, (0, across * d - width, 0, down * d - height))
        phases = padded.reshape(batch, channels, down, d, across, d).permute(0, 3, 5, 1, 2, 4)
        phases = phases.reshape(batch * d * d, channels, down, across)
        convolved = F.conv2d(phases, self.weight, self.bias, padding=1)
        whole = convolved.reshape(batch, d, d, -1, down, across).permute(0, 3, 4, 1, 5, 2)
        return whole.reshape(batch, -1, down * d, across * d)[:, :, :height, :width]
