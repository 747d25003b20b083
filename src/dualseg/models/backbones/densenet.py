"""DenseNet with an output stride, and the shallow, wide variants that were trained on CamVid."""

import re
from typing import Literal, NamedTuple

from torch import Tensor, nn

from dualseg.core.errors import InputError, nearest
from dualseg.models.backbones.densenet_layers import (
    ResidualTransition,
    Stem,
    dense_block,
    pooled_transition,
    stem_convolutions,
)
from dualseg.models.backbones.features import FeatureInfo

BLOCKS = {
    "30": (6, 8, 8, 8),
    "31": (6, 8, 8, 8),  # the same, as the source's VOC scripts call it
    "42": (6, 8, 16, 12),
    "121": (6, 12, 24, 16),
    "169": (6, 12, 32, 32),
    "201": (6, 12, 48, 32),
    "264": (6, 12, 64, 48),
}
NAMES = ("densenet121", "densenet169", "densenet201", "densenet264")
FUSION_DILATIONS = (1, 1, 2, 4)

Transition = Literal["pooled", "residual"]


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
    """`densenet121`, or `denseNkG` (`densenetNkG`): N layers in all, growth G. None for others."""
    if name in NAMES:
        return DenseNetPlan(BLOCKS[name.removeprefix("densenet")], 32, True)
    match = re.fullmatch(r"dense(?:net)?(\d+)k(\d+)", name)
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

    The `denseNkG` family is as its authors built it: no batch norm and no ReLU in the stem, none at
    the end (its heads begin with them), blocks dilated by 1, 1, 2, 4 at output stride 16 too, and
    2x2 windows of its transitions never dilated.

    Args:
        name: See `densenet_plan`.
        output_stride: Input size divided by the deepest feature's size: 8, 16 or 32.
        stem: "standard": 7x7 and 3x3 max pooling; "deep": three 3x3 of 64, 64 and 128 channels and
            2x2 max pooling.
        compression: Transitions halve the channels; else they keep them.
        transition: "pooled": 1x1 convolution and 2x2 average; "residual": a bottleneck with the
            stride in its 3x3, added to its input (the source's `transitionsenet2`, with a
            transition_squeeze_excite of 2); it cannot compress.
        latter_pooling: Pooled transitions that lost their stride still average 2x2 windows, dilated
            like the block before them, which keeps a classification network's weights exact; else
            they only mix channels.
        squeeze_excite: Reduction of a gate on the new channels of every dense layer; None for none.
        transition_squeeze_excite: Reduction of a gate in every transition; None for none.
        dropout: Behind every transition, value by value; the source's scripts take 0.2.
        in_channels: Bands of the images.

    Shape: (B, C, H, W) -> features of strides 2 (stem), 4, 8, 16, 32, none beyond `output_stride`

    Raises:
        InputError: An unknown name, or an impossible combination.

    Source: Huang et al. 2017, arXiv:1608.06993; the options: dongzhuoyao/tensorpack,
        examples/Deeplab/experiment2. Differs: from torchvision, pooling rounds odd sizes up; from
        tensorpack, only the stem's convolutions have biases (the others' would stand before a batch
        norm, save where a gate lies between), and even sizes are padded on every side.
    """

    auxiliary_index = -2

    def __init__(
        self,
        name: str,
        *,
        output_stride: int = 32,
        stem: Stem = "standard",
        compression: bool = True,
        transition: Transition = "pooled",
        latter_pooling: bool = True,
        squeeze_excite: int | None = None,
        transition_squeeze_excite: int | None = None,
        dropout: float = 0.0,
        in_channels: int = 3,
    ):
        super().__init__()
        plan = densenet_plan(name)
        if plan is None:
            raise InputError(f"there is no backbone {name!r}; {nearest(name, NAMES)}")
        _check(name, output_stride, stem, transition, dropout)
        if transition == "residual" and compression:
            raise InputError("transition residual keeps its channels; set compression to false")
        for reduction in (squeeze_excite, transition_squeeze_excite):
            if reduction is not None and reduction < 1:
                raise InputError(f"squeeze_excite {reduction} must be a reduction of at least 1")
        channels = 128 if stem == "deep" else 2 * plan.growth
        self.stem = stem_convolutions(
            stem, channels, with_norm=plan.is_classic, in_channels=in_channels
        )
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
            self.blocks.append(dense_block(channels, length, plan.growth, dilation, squeeze_excite))
            channels += length * plan.growth
            info.append(FeatureInfo(channels, stride))
            if number == len(plan.blocks) - 1:
                break
            shrinks = stride < output_stride
            if transition == "residual":
                between: nn.Module = ResidualTransition(
                    channels, shrinks=shrinks, squeeze_excite=transition_squeeze_excite
                )
            else:
                narrow = channels // 2 if compression else channels
                between = pooled_transition(
                    channels,
                    narrow,
                    shrinks=shrinks,
                    averages=latter_pooling,
                    squeeze_excite=transition_squeeze_excite,
                    dilation=lost if plan.is_classic else 1,
                )
                channels = narrow
            self.transitions.append(between)
            stride, lost = (2 * stride, lost) if shrinks else (stride, 2 * lost)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.Identity()
        if plan.is_classic:
            self.norm = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.feature_info = tuple(info)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.stem(images)
        features = [maps]
        maps = self.pool(maps)
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            features.append(maps)
            if number < len(self.transitions):
                maps = self.dropout(self.transitions[number](maps))
        return [*features[:-1], self.norm(features[-1])]


def rename_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's and timm's tensors under our names; their classifier is left out."""
    return {
        _our_name(name): tensor
        for name, tensor in weights.items()
        if not name.startswith("classifier.")
    }


def _our_name(name: str) -> str:
    if match := re.fullmatch(r"features\.denseblock(\d+)\.denselayer(\d+)\.(.+)", name):
        layer = re.sub(r"^(norm|conv)\.([12])", r"\1\2", match[3])  # as older files write it
        return f"blocks.{int(match[1]) - 1}.{int(match[2]) - 1}.{layer}"
    if match := re.fullmatch(r"features\.transition(\d+)\.(norm|conv)\.(.+)", name):
        place = {"norm": 0, "conv": 2}[match[2]]
        return f"transitions.{int(match[1]) - 1}.{place}.{match[3]}"
    ends = {
        "features.conv0.": "stem.0.",
        "features.norm0.": "stem.1.",
        "features.norm5.": "norm.0.",
    }
    for theirs, ours in ends.items():
        name = name.replace(theirs, ours)
    return name


def _check(name: str, output_stride: int, stem: str, transition: str, dropout: float) -> None:
    if output_stride not in (8, 16, 32):
        raise InputError(f"{name} cannot run at output_stride {output_stride}; use 8, 16 or 32")
    if stem not in ("standard", "deep"):
        raise InputError(f"stem {stem!r} is unknown for {name}; use standard or deep")
    if transition not in ("pooled", "residual"):
        raise InputError(f"transition {transition!r} is unknown; use pooled or residual")
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise InputError(f"dropout {dropout!r} must be a number from 0 to below 1, such as 0.2")
