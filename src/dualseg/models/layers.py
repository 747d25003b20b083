"""Blocks that two or more heads share."""

from typing import Literal

import torch
from torch import Tensor, nn

from dualseg.core.errors import InputError

Activation = Literal["relu", "leaky_relu", "none"]


def conv_bn_relu(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    *,
    stride: int = 1,
    dilation: int = 1,
    activation: Activation = "relu",
) -> nn.Sequential:
    """Convolution that keeps the size (at stride 1), batch norm, ReLU or what `activation` says.

    "leaky_relu" has slope 0.01, as in-place activated batch norm (Rota Bulò et al. 2018).
    """
    padding = dilation * (kernel_size - 1) // 2
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels),
        activate(activation),
    )


def activate(activation: Activation) -> nn.Module:
    """The layer a name stands for."""
    if activation == "relu":
        return nn.ReLU(inplace=True)
    return nn.LeakyReLU(0.01, inplace=True) if activation == "leaky_relu" else nn.Identity()


def separable_conv_bn_relu(
    in_channels: int, out_channels: int, *, dilation: int = 1, norm_between: bool = False
) -> nn.Sequential:
    """Depthwise 3x3, then pointwise 1x1, batch norm, ReLU.

    Args:
        in_channels: Channels of the depthwise convolution.
        out_channels: Channels of the pointwise convolution.
        dilation: Of the depthwise convolution.
        norm_between: Batch norm and ReLU after the depthwise convolution too (mmsegmentation).

    Source: Chen et al. 2018, arXiv:1802.02611, section 3.1 (atrous separable convolution).
    """
    depthwise = nn.Conv2d(
        in_channels,
        in_channels,
        3,
        padding=dilation,
        dilation=dilation,
        groups=in_channels,
        bias=False,
    )
    between = [nn.BatchNorm2d(in_channels), nn.ReLU(inplace=True)] if norm_between else []
    return nn.Sequential(
        depthwise,
        *between,
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class PooledBatchNorm2d(nn.BatchNorm2d):
    """Batch norm for globally pooled features, where a batch of one leaves one value a channel.

    One value has no variance, and plain batch norm refuses to train on it. Then this layer uses its
    running statistics and leaves them as they are. With two images or more it is plain batch norm.
    """

    def forward(self, input: Tensor) -> Tensor:
        values_per_channel = input.numel() // input.shape[1]
        if self.training and values_per_channel == 1:
            return nn.functional.batch_norm(
                input,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                False,
                0.0,
                self.eps,
            )
        return super().forward(input)


def pooled_conv_bn_relu(
    in_channels: int, out_channels: int, *, activation: Activation = "relu"
) -> nn.Sequential:
    """1x1 convolution, batch norm and ReLU for globally pooled features; batches of one train."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        PooledBatchNorm2d(out_channels),
        activate(activation),
    )


class SqueezeExcite(nn.Module):
    """A gate of 0 to 1 for each channel, made from the map's mean.

    Args:
        channels: Of the map.
        reduction: Channels divided by the width between the two layers.

    Shape: (B, C, h, w) -> (B, C, h, w)

    Source: Hu et al. 2018, arXiv:1709.01507, section 3.
    """

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, max(1, channels // reduction), 1)
        self.excite = nn.Conv2d(max(1, channels // reduction), channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        gate = self.excite(torch.relu(self.squeeze(maps.mean(dim=(2, 3), keepdim=True))))
        return maps * torch.sigmoid(gate)


class ImagePooling(nn.Module):
    """Global average, 1x1 convolution, batch norm, ReLU, spread over the map again.

    Shape: (B, C, h, w) -> (B, out_channels, h, w)

    Source: Chen et al. 2017, arXiv:1706.05587, section 3.3 (image-level features).
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = PooledBatchNorm2d(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        pooled = features.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
        pooled = torch.relu(self.norm(self.conv(pooled)))
        return pooled.expand(-1, -1, *features.shape[-2:])


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: 1x1, dilated 3x3 branches, image pooling; then projected.

    Args:
        in_channels: Channels of the feature it reads.
        out_channels: Channels of each branch and of the result.
        atrous_rates: Dilation of each 3x3 branch, in feature pixels.
        separable: Depthwise separable branches.
        dropout: After the projection.
        norm_between: Batch norm and ReLU inside separable branches too.
        project_size: Kernel of the projection: 1, or 3 for mmsegmentation's bottleneck.

    Shape: (B, in_channels, h, w) -> (B, out_channels, h, w)

    Raises:
        InputError: atrous_rates is empty or holds a value below 1.

    Source: Chen et al. 2017, arXiv:1706.05587, section 3.3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        atrous_rates: tuple[int, ...],
        separable: bool,
        dropout: float,
        norm_between: bool = False,
        project_size: int = 1,
    ):
        super().__init__()
        if not atrous_rates or min(atrous_rates) < 1:
            raise InputError(
                f"atrous_rates {atrous_rates} must hold at least one rate, each 1 or more"
            )

        def branch(rate: int) -> nn.Sequential:
            if not separable:
                return conv_bn_relu(in_channels, out_channels, dilation=rate)
            return separable_conv_bn_relu(
                in_channels, out_channels, dilation=rate, norm_between=norm_between
            )

        self.branches = nn.ModuleList(
            [conv_bn_relu(in_channels, out_channels, 1)]
            + [branch(rate) for rate in atrous_rates]
            + [ImagePooling(in_channels, out_channels)]
        )
        self.project = nn.Sequential(
            conv_bn_relu(out_channels * len(self.branches), out_channels, project_size),
            nn.Dropout(dropout),
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.project(torch.cat([branch(features) for branch in self.branches], dim=1))


def default_atrous_rates(output_stride: int) -> tuple[int, int, int]:
    """The papers' 6, 12, 18 at output stride 16, scaled to see the same stretch of the image."""
    return {8: (12, 24, 36), 16: (6, 12, 18), 32: (3, 6, 9)}[output_stride]


def initialize(module: nn.Module) -> None:
    """Kaiming-normal (fan-out) convolutions, batch norm at one and zero; for everything but
    backbones.

    Source: He et al. 2015, arXiv:1502.01852.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
