"""Dilated residual networks: they keep stride 8 by construction."""

from typing import Literal, NamedTuple

import torch
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from dualseg.core.errors import InputError, nearest
from dualseg.models.backbones.features import FeatureInfo

OUTPUT_STRIDE = 8
WIDTHS = (16, 32, 64, 128, 256, 512, 512, 512)

Block = type[BasicBlock] | type[Bottleneck]


class Plan(NamedTuple):
    """One published network.

    Attributes:
        kind: "c": plain ends made of residual-free basic blocks; "d": of 3x3 convolutions.
        block: Of layers 3 to 6.
        counts: Blocks, or convolutions, in each of the eight layers.
    """

    kind: Literal["c", "d"]
    block: Block
    counts: tuple[int, ...]


PLANS: dict[str, Plan] = {
    "drn_c_26": Plan("c", BasicBlock, (1, 1, 2, 2, 2, 2, 1, 1)),
    "drn_c_42": Plan("c", BasicBlock, (1, 1, 3, 4, 6, 3, 1, 1)),
    "drn_c_58": Plan("c", Bottleneck, (1, 1, 3, 4, 6, 3, 1, 1)),
    "drn_d_22": Plan("d", BasicBlock, (1, 1, 2, 2, 2, 2, 1, 1)),
    "drn_d_24": Plan("d", BasicBlock, (1, 1, 2, 2, 2, 2, 2, 2)),
    "drn_d_38": Plan("d", BasicBlock, (1, 1, 3, 4, 6, 3, 1, 1)),
    "drn_d_40": Plan("d", BasicBlock, (1, 1, 3, 4, 6, 3, 2, 2)),
    "drn_d_54": Plan("d", Bottleneck, (1, 1, 3, 4, 6, 3, 1, 1)),
    "drn_d_105": Plan("d", Bottleneck, (1, 1, 3, 4, 23, 3, 1, 1)),
}


class DRN(nn.Module):
    """DRN-C and DRN-D: stride 8 from layer 4 on, dilation 2 and 4 in layers 5 and 6 (every block,
    the first included), then two plain layers that undo the grid of the dilation.

    Tensor names are those of the authors' code, so that published weights load as they are.

    Args:
        name: One of `PLANS`.
        output_stride: 8; there is no other.
        in_channels: Bands of the images.

    Shape: (B, C, H, W) -> features of strides 1, 2, 4, 8, 8, 8: layers 1 to 5 and the last one

    Raises:
        InputError: Unknown name, or another output stride.

    Source: Yu et al. 2017, arXiv:1705.09914, section 3 (DRN-C); DRN-D as in the authors' code,
        https://github.com/fyu/drn (BSD-3-Clause).
    """

    auxiliary_index = -2

    def __init__(self, name: str, *, output_stride: int = OUTPUT_STRIDE, in_channels: int = 3):
        super().__init__()
        if name not in PLANS:
            raise InputError(f"there is no backbone {name!r}; {nearest(name, PLANS)}")
        if output_stride != OUTPUT_STRIDE:
            raise InputError(
                f"{name} keeps stride 8 by construction and cannot run at output_stride "
                f"{output_stride}; use 8"
            )
        kind, block, n = PLANS[name]
        w1, w2, w3, w4, w5, w6, w7, w8 = WIDTHS
        wide = block.expansion
        convolution = nn.Conv2d(in_channels, w1, 7, padding=3, bias=False)
        norm = nn.BatchNorm2d(w1)
        if kind == "c":
            self.conv1, self.bn1 = convolution, norm
            self.layer1 = _residual(BasicBlock, w1, w1, n[0])
            self.layer2 = _residual(BasicBlock, w1, w2, n[1], stride=2)
        else:
            self.layer0 = nn.Sequential(convolution, norm, nn.ReLU(inplace=True))
            self.layer1 = _plain(w1, w1, n[0])
            self.layer2 = _plain(w1, w2, n[1], stride=2)
        self.layer3 = _residual(block, w2, w3, n[2], stride=2)
        self.layer4 = _residual(block, wide * w3, w4, n[3], stride=2)
        self.layer5 = _residual(block, wide * w4, w5, n[4], dilation=2)
        self.layer6 = _residual(block, wide * w5, w6, n[5], dilation=4)
        ending = _residual_free if kind == "c" else _plain
        self.layer7 = ending(wide * w6, w7, n[6], dilation=2)
        self.layer8 = ending(w7, w8, n[7])
        channels = (w1, w2, wide * w3, wide * w4, wide * w5, w8)
        self.feature_info = tuple(map(FeatureInfo, channels, (1, 2, 4, 8, 8, 8)))
        _initialize(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        if hasattr(self, "layer0"):
            maps = self.layer0(images)
        else:
            maps = torch.relu(self.bn1(self.conv1(images)))
        features = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4, self.layer5):
            maps = layer(maps)
            features.append(maps)
        return [*features, self.layer8(self.layer7(self.layer6(maps)))]


def _residual(
    block: Block, in_channels: int, width: int, count: int, *, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Residual blocks, all of one dilation; the first one carries the stride."""
    out_channels = width * block.expansion
    shortcut = None
    if stride != 1 or in_channels != out_channels:
        shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )
    first = block(in_channels, width, stride, shortcut, dilation=dilation, first_dilation=dilation)
    others = [
        block(out_channels, width, dilation=dilation, first_dilation=dilation)
        for _ in range(count - 1)
    ]
    return nn.Sequential(first, *others)


def _plain(
    in_channels: int, width: int, count: int, *, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU, `count` times, in one flat sequence."""
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [
            nn.Conv2d(
                in_channels,
                width,
                3,
                stride=stride,
                padding=dilation,
                dilation=dilation,
                bias=False,
            ),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        in_channels, stride = width, 1
    return nn.Sequential(*layers)


class ResidualFreeBlock(nn.Module):
    """A basic block without its shortcut: what undoes the grid must not carry it on.

    Shape: (B, in_channels, h, w) -> (B, width, h, w)
    """

    def __init__(self, in_channels: int, width: int, dilation: int):
        super().__init__()
        around = {"padding": dilation, "dilation": dilation, "bias": False}
        self.conv1 = nn.Conv2d(in_channels, width, 3, **around)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, **around)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, maps: Tensor) -> Tensor:
        maps = torch.relu(self.bn1(self.conv1(maps)))
        return torch.relu(self.bn2(self.conv2(maps)))


def _residual_free(in_channels: int, width: int, count: int, *, dilation: int = 1) -> nn.Sequential:
    channels = [in_channels] + [width] * (count - 1)
    return nn.Sequential(*(ResidualFreeBlock(c, width, dilation) for c in channels))


def _initialize(network: nn.Module) -> None:
    """Kaiming-normal by fan-out, as the authors."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def rename_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' tensors without what is never used: classifier, shortcuts of shortcut-free
    blocks.
    """
    unused = ("fc.", "layer7.0.downsample.", "layer8.0.downsample.")
    return {name: tensor for name, tensor in weights.items() if not name.startswith(unused)}
