"""DenseNet with an output stride, and the shallow, wide variants that were trained on CamVid."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from timm.layers import AvgPool2dSame
from torch import Tensor, nn

from dualseg.core.errors import InputError, nearest
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.layers import SqueezeExcite

BLOCKS = {
    "30": (6, 8, 8, 8),
    "121": (6, 12, 24, 16),
    "169": (6, 12, 32, 32),
    "201": (6, 12, 48, 32),
    "264": (6, 12, 64, 48),
}
NAMES = ("densenet121", "densenet169", "densenet201", "densenet264")
BOTTLENECK = 4  # a 1x1 of four times the growth stands before every 3x3
FUSION_DILATIONS = (1, 1, 2, 4)

Stem = Literal["standard", "deep"]


class DenseNetPlan(NamedTuple):
    """What a name stands for.

    Attributes:
        blocks: Dense layers in each of the four blocks.
        growth: Channels each of them adds.
        is_classic: A published classification network; else one of the `denseNkG` family.
    """

    blocks: tuple[int, ...]
    growth: int
    is_classic: bool


def densenet_plan(name: str) -> DenseNetPlan | None:
    """`densenet121`, or `denseNkG`: N layers in all, growth G. None for other names."""
    if name in NAMES:
        return DenseNetPlan(BLOCKS[name.removeprefix("densenet")], 32, True)
    match = re.fullmatch(r"dense(\d+)k(\d+)", name)
    if match is None:
        return None
    if match[1] not in BLOCKS or not int(match[2]):
        raise InputError(
            f"{name}: dense{match[1]} is unknown; {nearest(match[1], BLOCKS)} (layers), and a "
            "growth of at least 1, as in dense30k48"
        )
    return DenseNetPlan(BLOCKS[match[1]], int(match[2]), False)


class DenseNet(nn.Module):
    """Four dense blocks; a block's map is the feature, before the transition that shrinks it.

    The `denseNkG` family ends without a norm, since the head begins with one, and dilates its
    blocks by 1, 1, 2, 4 at output stride 16, as its authors.

    Args:
        name: See `densenet_plan`.
        output_stride: Input size divided by the deepest feature's size: 8, 16 or 32.
        stem: "standard": 7x7 and 3x3 max pooling; "deep": three 3x3 of 64, 64 and 128 channels and
            2x2 max pooling.
        compression: Transitions halve the channels; else they keep them.
        latter_pooling: Transitions that lost their stride still average 2x2 windows, which keeps
            trained weights exact; else they only mix channels.
        squeeze_excite: Reduction of a gate on the new channels of every dense layer; None for none.
        transition_squeeze_excite: Reduction of a gate behind every transition; None for none.

    Shape: (B, 3, H, W) -> features of strides 2 (stem), 4, 8, 16, 32, none beyond `output_stride`

    Raises:
        InputError: An unknown name, or an impossible combination.

    Source: Huang et al. 2017, arXiv:1608.06993; the options: dongzhuoyao/tensorpack,
        examples/Deeplab/experiment2. Differs: the deep stem has batch norm and ReLU, which the
        latter leaves out; odd sizes are rounded up in pooling.
    """

    auxiliary_index = -2

    def __init__(
        self,
        name: str,
        *,
        output_stride: int = 32,
        stem: Stem = "standard",
        compression: bool = True,
        latter_pooling: bool = True,
        squeeze_excite: int | None = None,
        transition_squeeze_excite: int | None = None,
    ):
        super().__init__()
        plan = densenet_plan(name)
        if plan is None:
            raise InputError(f"there is no backbone {name!r}; {nearest(name, NAMES)}")
        if output_stride not in (8, 16, 32):
            raise InputError(f"{name} cannot run at output_stride {output_stride}; use 8, 16 or 32")
        if stem not in ("standard", "deep"):
            raise InputError(f"stem {stem!r} is unknown for {name}; use standard or deep")
        for reduction in (squeeze_excite, transition_squeeze_excite):
            if reduction is not None and reduction < 1:
                raise InputError(f"squeeze_excite {reduction} must be a reduction of at least 1")
        channels = 128 if stem == "deep" else 2 * plan.growth
        self.stem = _deep_stem() if stem == "deep" else _standard_stem(channels)
        self.pool = (
            nn.MaxPool2d(2, ceil_mode=True) if stem == "deep" else nn.MaxPool2d(3, 2, padding=1)
        )
        self.blocks = nn.ModuleList()
        self.transitions = nn.ModuleList()
        info = [FeatureInfo(channels, 2)]
        stride, lost = 4, 1
        for number, length in enumerate(plan.blocks):
            dilation = lost
            if not plan.is_classic and output_stride == 16:
                dilation = FUSION_DILATIONS[number]
            self.blocks.append(
                nn.Sequential(
                    *(
                        DenseLayer(
                            channels + i * plan.growth, plan.growth, dilation, squeeze_excite
                        )
                        for i in range(length)
                    )
                )
            )
            channels += length * plan.growth
            info.append(FeatureInfo(channels, stride))
            if number == len(plan.blocks) - 1:
                break
            shrinks = stride < output_stride
            narrow = channels // 2 if compression else channels
            self.transitions.append(
                _transition(
                    channels,
                    narrow,
                    shrinks=shrinks,
                    averages=latter_pooling,
                    squeeze_excite=transition_squeeze_excite,
                )
            )
            channels = narrow
            stride, lost = (2 * stride, lost) if shrinks else (stride, 2 * lost)
        self.norm = nn.Identity()
        if plan.is_classic:
            self.norm = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.feature_info = tuple(info)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.stem(images)
        features = [maps]
        maps = self.pool(maps)
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            features.append(maps)
            if number < len(self.transitions):
                maps = self.transitions[number](maps)
        return [*features[:-1], self.norm(features[-1])]


class DenseLayer(nn.Module):
    """Batch norm, ReLU, 1x1, batch norm, ReLU, 3x3; the result is appended to the input.

    Shape: (B, C, h, w) -> (B, C + growth, h, w)
    """

    def __init__(self, in_channels: int, growth: int, dilation: int, squeeze_excite: int | None):
        super().__init__()
        width = BOTTLENECK * growth
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, growth, 3, padding=dilation, dilation=dilation, bias=False)
        self.gate = (
            nn.Identity() if squeeze_excite is None else SqueezeExcite(growth, squeeze_excite)
        )

    def forward(self, maps: Tensor) -> Tensor:
        new = self.conv1(torch.relu(self.norm1(maps)))
        new = self.gate(self.conv2(torch.relu(self.norm2(new))))
        return torch.cat([maps, new], dim=1)


def rename_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's and timm's tensors under our names; their classifier is left out."""
    rules: Sequence[tuple[str, str]] = (
        (r"features\.conv0\.", "stem.0."),
        (r"features\.norm0\.", "stem.1."),
        (r"features\.norm5\.", "norm.0."),
        (r"features\.transition(\d+)\.norm\.", lambda m: f"transitions.{int(m[1]) - 1}.0."),
        (r"features\.transition(\d+)\.conv\.", lambda m: f"transitions.{int(m[1]) - 1}.2."),
        (
            r"features\.denseblock(\d+)\.denselayer(\d+)\.(norm|conv)\.?([12])\.",
            lambda m: f"blocks.{int(m[1]) - 1}.{int(m[2]) - 1}.{m[3]}{m[4]}.",
        ),
    )  # type: ignore[assignment]
    renamed = {}
    for name, tensor in weights.items():
        if name.startswith("classifier."):
            continue
        for pattern, ours in rules:
            name, count = re.subn("^" + pattern, ours, name)
            if count:
                break
        renamed[name] = tensor
    return renamed


def _standard_stem(channels: int) -> nn.Sequential:
    convolution = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _deep_stem() -> nn.Sequential:
    layers: list[nn.Module] = []
    for in_channels, out_channels, stride in ((3, 64, 2), (64, 64, 1), (64, 128, 1)):
        layers += [
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def _transition(
    in_channels: int,
    out_channels: int,
    *,
    shrinks: bool,
    averages: bool,
    squeeze_excite: int | None,
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
    ]
    if shrinks:
        layers.append(nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False))
    elif averages:
        layers.append(AvgPool2dSame(2, stride=1, count_include_pad=False))
    if squeeze_excite is not None:
        layers.append(SqueezeExcite(out_channels, squeeze_excite))
    return nn.Sequential(*layers)
