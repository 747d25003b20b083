"""Output stride by dilation: strides of the deep stages are removed and their filters widened.

Works on any convolutional network by probing it: one small image is sent through, every
convolution's true input and output stride is recorded, and whatever would go beyond the wanted
output stride is rewritten. The same weights give different networks under different rules, so the
rules have names:

`first_block="contract"`: the convolution that lost its stride keeps the dilation before it
(torchvision, timm, TensorFlow's DeepLab). The new map then holds the old one at every second
position. `first_block="full"`: it gets the dilation of its stage (jfzhang's ResNet,
mmsegmentation's MobileNetV2). `first_block="group"`: the whole stage that lost its stride keeps the
dilation before it (jfzhang's MobileNetV2); only for networks whose stages are timm's `blocks.N`.
`first_block="undilated"`: it gets dilation 1 (DRN-A).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from timm.layers import AvgPool2dSame
from torch import Tensor, nn

from dualseg.core.errors import InputError

FirstBlock = Literal["contract", "full", "group", "undilated"]
PROBE_SIZE = 128


class Probe(NamedTuple):
    """A convolution or pooling layer and the strides of what enters and leaves it."""

    name: str
    module: nn.Module
    stride_in: int
    stride_out: int

    @property
    def loses_stride(self) -> bool:
        """Whether it shrinks the map, so that a smaller output stride takes its stride away."""
        return self.stride_out > self.stride_in


def apply_output_stride(
    body: nn.Module,
    output_stride: int,
    first_block: FirstBlock,
    *,
    probe_size: int = PROBE_SIZE,
    in_channels: int = 3,
) -> None:
    """Rewrites `body` in place so that nothing in it goes beyond `output_stride`.

    Args:
        body: A network that maps (B, in_channels, H, W) to a list of features.
        output_stride: 8, 16 or 32.
        first_block: See above.
        probe_size: Side of the square image sent through.
        in_channels: Bands of that image.

    Raises:
        InputError: A layer that shrinks the map cannot be dilated (max pooling, for example), or
            `first_block` does not suit the network.
    """
    probes = probe_strides(body, probe_size, in_channels)
    stage_strides = _stage_strides(probes) if first_block == "group" else {}
    for probe in {probe.name: probe for probe in probes}.values():  # once, where it runs twice
        if probe.stride_out <= output_stride:
            continue
        if first_block == "group":
            reference = stage_strides.get(_stage(probe), probe.stride_out)
        elif first_block == "contract" and probe.loses_stride:
            reference = probe.stride_in
        elif first_block == "undilated" and probe.loses_stride:
            reference = output_stride
        else:
            reference = probe.stride_out
        _rewrite(body, probe, max(1, reference // output_stride))


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
                _dilate(module, factor)


@torch.no_grad()
def probe_strides(body: nn.Module, size: int = PROBE_SIZE, in_channels: int = 3) -> list[Probe]:
    """Every spatial layer in the order it runs, with the true strides around it."""
    probes: list[Probe] = []
    names = {module: name for name, module in body.named_modules()}

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        before, after = inputs[0], output
        if before.ndim == 4 and after.ndim == 4 and after.shape[-1] > 1:
            around = size // before.shape[-1], size // after.shape[-1]
            probes.append(Probe(names[module], module, *around))

    spatial = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
    hooks = [m.register_forward_hook(record) for m in body.modules() if isinstance(m, spatial)]
    was_training = body.training
    body.eval()
    body(torch.zeros(1, in_channels, size, size))
    body.train(was_training)
    for hook in hooks:
        hook.remove()
    return probes


def _stage(probe: Probe) -> str | None:
    """`blocks.3` of `blocks.3.0.conv_dw`."""
    parts = probe.name.split(".")
    return f"blocks.{parts[1]}" if parts[0] == "blocks" and parts[1].isdigit() else None


def _stage_strides(probes: Sequence[Probe]) -> dict[str | None, int]:
    """The stride of what enters each stage."""
    strides: dict[str | None, int] = {}
    for probe in probes:
        if _stage(probe) is not None:
            strides.setdefault(_stage(probe), probe.stride_in)
    if not strides:
        raise InputError(
            "first_block group is for networks whose stages are groups of blocks (mobilenet_v2, "
            "EfficientNets); use contract or full"
        )
    return strides


def _rewrite(body: nn.Module, probe: Probe, dilation: int) -> None:
    module = probe.module
    if probe.loses_stride and _in_attention(body, probe.name):
        raise InputError(
            f"layer {probe.name} shrinks what an attention looks at, not the map, and cannot be "
            "dilated; use output_stride 32"
        )
    if isinstance(module, nn.Conv2d):
        if probe.stride_in == 1:
            raise InputError(
                f"layer {probe.name} cuts the image into patches of {probe.stride_out}, which no "
                f"dilation replaces; use output_stride {probe.stride_out}"
            )
        even = module.kernel_size[0] % 2 == 0
        if probe.loses_stride and even:
            body.set_submodule(probe.name, _trailing(module, probe.name, dilation))
            return
        module.stride = (1, 1)
        if max(module.kernel_size) > 1:
            _dilate(module, dilation)
    elif isinstance(module, nn.AvgPool2d) and probe.loses_stride:
        _keep_size(body, probe.name, module)
    elif probe.loses_stride or (_reach(module) and dilation > 1):
        kind = type(module).__name__
        raise InputError(
            f"layer {probe.name} ({kind}) cannot be dilated; use a larger output_stride"
        )


def _keep_size(body: nn.Module, name: str, pool: nn.AvgPool2d) -> None:
    """Takes the stride of an average and leaves its window as it is, undilated."""
    kernel, padding = _pair(pool.kernel_size), _pair(pool.padding)
    if all(2 * pad == side - 1 for side, pad in zip(kernel, padding, strict=True)):
        pool.stride = (1, 1)  # Res2Net's and ResNeSt's 3x3, as their authors do
    else:
        # The average-pooled shortcut of a ResNet-D keeps its 2x2 window and the map's size, as in
        # timm; mmsegmentation and gluon-cv drop the pooling where the stride is gone.
        body.set_submodule(name, AvgPool2dSame(kernel, stride=1, count_include_pad=False))


def _pair(sides: int | tuple[int, int]) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else sides


def _reach(pool: nn.Module) -> bool:
    """Whether a pooling layer looks at more than its own position."""
    return max(_pair(pool.kernel_size)) > 1  # type: ignore[arg-type]


def _in_attention(body: nn.Module, name: str) -> bool:
    parts = name.split(".")
    parents = [body.get_submodule(".".join(parts[:depth])) for depth in range(1, len(parts))]
    return any("Att" in type(parent).__name__ for parent in parents)


def _dilate(convolution: nn.Conv2d, factor: int) -> None:
    """Multiplies the dilation it has: a selective kernel of SKNet is dilated from the start."""
    kernel = convolution.kernel_size
    down, right = (factor * own for own in convolution.dilation)
    convolution.dilation = (down, right)
    if convolution.padding != (0, 0):  # timm's Conv2dSame pads by itself, from its dilation
        convolution.padding = (down * (kernel[0] - 1) // 2, right * (kernel[1] - 1) // 2)


def _trailing(convolution: nn.Conv2d, name: str, dilation: int) -> "TrailingConv2d":
    if convolution.padding != (0, 0):
        kernel = "x".join(str(side) for side in convolution.kernel_size)
        raise InputError(
            f"layer {name} has an even kernel ({kernel}) with padding, which has no middle to be "
            "dilated around; use a larger output_stride"
        )
    dilated = TrailingConv2d(
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]
        dilation=dilation,
        groups=convolution.groups,
        bias=convolution.bias is not None,
    )
    dilated.weight, dilated.bias = convolution.weight, convolution.bias
    return dilated


class TrailingConv2d(nn.Conv2d):
    """A dilated convolution with an even kernel: all padding stands behind the map.

    Made from a patch-merging convolution (ConvNeXt's 2x2 with stride 2). Its window starts at its
    own position, as the merged patch did, so every second position holds the merged value.
    """

    def forward(self, input: Tensor) -> Tensor:
        bottom, right = (
            dilation * (kernel - 1)
            for dilation, kernel in zip(self.dilation, self.kernel_size, strict=True)
        )
        return super().forward(nn.functional.pad(input, (0, right, 0, bottom)))
