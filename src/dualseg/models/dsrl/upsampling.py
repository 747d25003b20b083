"""Learned doubling of a map: the step both super-resolution decoders are made of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.geometry import Size


def deconv_bn_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    """Transposed convolution that doubles height and width exactly, batch norm, ReLU.

    The kernel is 4x4 at stride 2, so that every output pixel is fed by the same number of input
    pixels; 3x3 and 2x2 kernels leave a checkerboard.
    """
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def double_size(size: Size) -> Size:
    """Twice the height and width."""
    return 2 * size[0], 2 * size[1]


def crop_to(maps: Tensor, size: Size) -> Tensor:
    """The top left (B, C, *size) part; where that is too small, its last row and column repeat.

    Strided convolutions round sizes up, so an exact upsampling of an odd-sized input comes out a
    few rows and columns too large at the bottom and on the right; behind a stem without padding
    sizes are rounded down, and it comes out too small. Cropping and repeating there keep every
    other pixel where it belongs; resizing would shift them all.
    """
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps  # slicing would cost a zero-filled copy on the way back
    maps = maps[..., : size[0], : size[1]]
    bottom, right = size[0] - maps.shape[-2], size[1] - maps.shape[-1]
    if bottom or right:
        maps = F.pad(maps, (0, right, 0, bottom), mode="replicate")
    return maps


def icnr_(weight: Tensor, factor: int) -> None:
    """Starts a sub-pixel convolution as nearest-neighbour upsampling: no checkerboard at step 0.

    Args:
        weight: (C * factor^2, in, k, k), changed in place.
        factor: Upsampling factor of the pixel shuffle behind it.

    Source: Aitken et al. 2017, arXiv:1707.02937.
    """
    first = torch.empty(weight.shape[0] // factor**2, *weight.shape[1:])
    nn.init.kaiming_normal_(first)
    with torch.no_grad():
        weight.copy_(first.repeat_interleave(factor**2, dim=0))
