"""The antialiased shrink of `core.geometry.shrink_images` in operations every exporter knows.

Exporters either refuse torch's own operation or give it other weights at sizes that are no multiple
of the scale. Written as sums of rows and of columns it is exact at every size, known late or not.
"""

from fractions import Fraction

import torch
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.core.geometry import scaled_size

LARGEST_SIDE = 8192  # the whole-number formula is compared with `scaled_size` up to here
SMALLEST_SIDE = 8  # below, an output pixel may be made of more input pixels than `taps` says


class Shrink(nn.Module):
    """Bilinear resizing with antialiasing to `scaled_size(size, scale)`.

    Args:
        scale: Above 0; of height and width.

    Shape: (B, C, H, W) float -> (B, C, H * scale, W * scale), rounded half up

    Raises:
        InputError: The scale is no fraction of small whole numbers.
    """

    def __init__(self, scale: float):
        super().__init__()
        ratio = Fraction(scale).limit_denominator(1000)
        self.numerator, self.denominator = ratio.numerator, ratio.denominator
        sides = range(1, LARGEST_SIDE + 1)
        if scale <= 0 or any(self.scaled(n) != scaled_size((n, n), scale)[0] for n in sides):
            raise InputError(
                f"an input scale of {scale!r} cannot be exported; train with a fraction of small "
                "whole numbers, such as 0.5 or 0.75"
            )
        self.taps = max(_taps(n, self.scaled(n)) for n in sides if n >= SMALLEST_SIDE)

    def scaled(self, side: int) -> int:
        """`scaled_size` of one side, in whole numbers."""
        return max(1, (2 * side * self.numerator + self.denominator) // (2 * self.denominator))

    def forward(self, maps: Tensor) -> Tensor:
        return self._shrink_axis(self._shrink_axis(maps, 2), 3)

    def _shrink_axis(self, maps: Tensor, axis: int) -> Tensor:
        have = maps.shape[axis]
        want = (2 * have * self.numerator + self.denominator) // (2 * self.denominator)
        have_float = torch.full((1,), have, dtype=torch.int64).float()
        step = have_float / torch.full((1,), want, dtype=torch.int64).float()
        reach = step.clamp(min=1.0)
        centres = (torch.arange(want).float() + 0.5) * step  # (want,)
        first = (centres - reach + 0.5).long().clamp(min=0)
        sources = first.unsqueeze(1) + torch.arange(self.taps)  # (want, taps)
        distance = (sources.float() + 0.5 - centres.unsqueeze(1)).abs() / reach
        weights = (1.0 - distance).clamp(min=0.0) * (sources.float() < have_float)
        weights = weights / weights.sum(dim=1, keepdim=True)
        sources = torch.minimum(sources, (have_float - 1.0).long())
        shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
        total = maps.index_select(axis, sources[:, 0]) * weights[:, 0].reshape(shape)
        for tap in range(1, self.taps):
            total = total + maps.index_select(axis, sources[:, tap]) * weights[:, tap].reshape(
                shape
            )
        return total


def _taps(have: int, want: int) -> int:
    """Input pixels that can lie within reach of an output pixel."""
    return -(-2 * max(have, want) // want)
