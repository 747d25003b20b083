"""Output stride by dilation: strides of the deep stages are removed and their filters widened.

Works on any convolutional network by probing it: one small image is sent through, every
convolution's true input and output stride is recorded, and whatever would go beyond the wanted
output stride is rewritten. The same weights give different networks under different rules, so the
rules have names:

`first_block="contract"`: the convolution that lost its stride keeps the dilation before it
(torchvision, timm). `first_block="full"`: it gets the dilation of its stage (jfzhang's DeepLab).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from timm.layers import AvgPool2dSame
from torch import Tensor, nn

from dualseg.core.errors import InputError

FirstBlock = Literal["contract", "full"]
PROBE_SIZE = 128


class Probe(NamedTuple):
    """A convolution or pooling layer and the strides of what enters and leaves it."""

    name: str
    module: nn.Module
    stride_in: int
    stride_out: int


def apply_output_stride(body: nn.Module, output_stride: int, first_block: FirstBlock) -> None:
    """Rewrites `body` in place so that nothing in it goes beyond `output_stride`.

    Args:
        body: A network that maps (B, 3, H, W) to a list of features.
        output_stride: 8, 16 or 32.
        first_block: See above.

    Raises:
        InputError: A layer that shrinks the map cannot be dilated (patch merging, for example).
    """
    for probe in probe_strides(body):
        if probe.stride_out > output_stride:
            _rewrite(body, probe, output_stride, first_block)


def apply_multi_grid(stage: nn.Module, multi_grid: Sequence[int]) -> None:
    """Multiplies the dilation of block b of the last stage by `multi_grid[b]`.

    Source: Chen et al. 2017, arXiv:1706.05587, section 3.2.

    Raises:
        InputError: The number of factors is not the number of blocks.
    """
    blocks = list(stage.children())
    if len(blocks) != len(multi_grid) or min(multi_grid) < 1:
        raise InputError(
            f"multi_grid {tuple(multi_grid)} must give one factor of at least 1 for each of the "
            f"{len(blocks)} blocks of the last stage"
        )
    for block, factor in zip(blocks, multi_grid, strict=True):
        for module in block.modules():
            if isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1:
                _dilate(module, module.dilation[0] * factor)


@torch.no_grad()
def probe_strides(body: nn.Module) -> list[Probe]:
    """Every spatial layer in the order it runs, with the true strides around it."""
    probes: list[Probe] = []
    names = {module: name for name, module in body.named_modules()}

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        before, after = inputs[0], output
        if before.ndim == 4 and after.ndim == 4 and after.shape[-1] > 1:
            around = PROBE_SIZE // before.shape[-1], PROBE_SIZE // after.shape[-1]
            probes.append(Probe(names[module], module, *around))

    spatial = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
    hooks = [m.register_forward_hook(record) for m in body.modules() if isinstance(m, spatial)]
    was_training = body.training
    body.eval()
    body(torch.zeros(1, 3, PROBE_SIZE, PROBE_SIZE))
    body.train(was_training)
    for hook in hooks:
        hook.remove()
    return probes


def _rewrite(body: nn.Module, probe: Probe, output_stride: int, first_block: FirstBlock) -> None:
    module = probe.module
    lost_stride = probe.stride_out > probe.stride_in
    keeps_previous = lost_stride and first_block == "contract"
    reference = probe.stride_in if keeps_previous else probe.stride_out
    dilation = max(1, reference // output_stride)
    if isinstance(module, nn.Conv2d):
        module.stride = (1, 1)
        if max(module.kernel_size) > 1:
            _dilate(module, dilation)
    elif isinstance(module, nn.AvgPool2d) and lost_stride:
        # The average-pooled shortcut of a ResNet-D keeps its 2x2 window and the map's size.
        body.set_submodule(probe.name, AvgPool2dSame(2, stride=1, count_include_pad=False))
    elif lost_stride:
        kind = type(module).__name__
        raise InputError(
            f"layer {probe.name} ({kind}) cannot be dilated; use a larger output_stride"
        )


def _dilate(convolution: nn.Conv2d, dilation: int) -> None:
    kernel = convolution.kernel_size
    convolution.dilation = (dilation, dilation)
    if convolution.padding != (0, 0):  # timm's Conv2dSame pads by itself, from its dilation
        convolution.padding = (dilation * (kernel[0] - 1) // 2, dilation * (kernel[1] - 1) // 2)
