"""Multi-level fusion on DenseNet ("dense in dense"): the maps before its transitions are joined."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.errors import InputError, nearest
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import SqueezeExcite

WIDTH = 416
LEVELS = 4
REDUCTION = 4  # of the gates, and of what is squeezed

Variant = Literal[
    "newdid6",
    "newdid6_senet",
    "newdid4",
    "newdid4_1",
    "newdid",
    "newdid2",
    "did",
    "did4",
    "plain",
]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
PYRAMIDS = ("newdid6", "newdid6_senet", "newdid4", "newdid4_1")


class DenseNetFusionHead(nn.Module):
    """Joins the last four features of a DenseNet; batch norm and ReLU last.

    Args:
        feature_info: Channels and strides of the features; the last four are joined.
        variant: By the names of the source's result table. "plain": the deepest feature alone.
            "did", "did4": the others squeezed to an eighth or a quarter of their channels and
            resized to the deepest. "newdid": squeezed to a quarter and pooled down step by step;
            "newdid2": with batch norms between the steps and a gate on the result. "newdid4": a
            pyramid, top down, with 3x3 smoothing; "newdid4_1": 1x1 smoothing; "newdid6": as
            newdid4_1 with every sum supervised, the finest is used; "newdid6_senet": and gates on
            the lateral maps.
        channels: Of a pyramid's maps.
        align_corners: Of resizing.

    Shape: features -> (B, channels, H/4, W/4) for the pyramids, else (B, C, H/s, W/s) with s the
        output stride; side features, for newdid6: the two coarser sums

    Raises:
        InputError: Unknown variant, fewer than four features, or channels without a pyramid.

    Source: dongzhuoyao/tensorpack, examples/Deeplab/experiment2: `denseindense` 0, 1, 2, 4, 5, 6
        and 7 of densenet_v1_deepsupervision.py, as the scripts of these names choose them; "did" of
        densenet_v1.py at its commit 01113e37. Number 3 adds maps of 800 and of other channels, and
        no result names it. Differs: resizing has half-pixel centres, which TensorFlow 1 had not.
        Lin et al. 2017, arXiv:1612.03144, for the pyramid.
    """

    dropout = 0.0

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        variant: Variant = "newdid6",
        channels: int = WIDTH,
        align_corners: bool = False,
    ):
        super().__init__()
        if variant not in VARIANTS:
            raise InputError(
                f"there is no fusion variant {variant!r}; {nearest(variant, VARIANTS)}"
            )
        if variant not in PYRAMIDS and channels != WIDTH:
            raise InputError(f"channels is for {', '.join(PYRAMIDS)}; leave it out for {variant}")
        if variant != "plain" and len(feature_info) < LEVELS:
            raise InputError(
                f"multi-level fusion needs {LEVELS} features; this backbone gives "
                f"{len(feature_info)}"
            )
        info = feature_info[-LEVELS:]
        self.fuse = _fusion(info, variant, channels, align_corners)
        *side_info, (self.out_channels, self.out_stride) = self.fuse.out_info
        self.side_info = tuple(side_info) if variant.startswith("newdid6") else ()
        self.finish_sides = nn.ModuleList(_norm_relu(side.channels) for side in self.side_info)
        self.finish = _norm_relu(self.out_channels)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        *coarser, finest = self.fuse(features[-LEVELS:])
        sides = [finish(maps) for finish, maps in zip(self.finish_sides, coarser, strict=False)]
        return HeadOutput(self.finish(finest), tuple(sides))


def _fusion(
    info: Sequence[FeatureInfo], variant: Variant, channels: int, align_corners: bool
) -> "Deepest | ResizedMaps | PooledMaps | Pyramid":
    if variant == "plain":
        return Deepest(info)
    if variant in ("did", "did4"):
        return ResizedMaps(info, 8 if variant == "did" else 4, align_corners)
    if variant in ("newdid", "newdid2"):
        return PooledMaps(info, is_second=variant == "newdid2")
    return Pyramid(
        info,
        channels,
        smooth_size=3 if variant == "newdid4" else 1,
        is_gated=variant == "newdid6_senet",
        align_corners=align_corners,
    )


class Deepest(nn.Module):
    """The deepest feature, as it is."""

    def __init__(self, info: Sequence[FeatureInfo]):
        super().__init__()
        self.out_info = [info[-1]]

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [features[-1]]


class ResizedMaps(nn.Module):
    """Every finer feature resized to the deepest one, squeezed, and set behind it."""

    def __init__(self, info: Sequence[FeatureInfo], reduction: int, align_corners: bool):
        super().__init__()
        self.align_corners = align_corners
        widths = [max(1, level.channels // reduction) for level in info[:-1]]
        self.squeeze = _squeezes(info, widths)
        self.out_info = [FeatureInfo(info[-1].channels + sum(widths), info[-1].stride)]

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        *finer, deepest = features
        squeezed = [
            squeeze(_resize(maps, deepest, self.align_corners))
            for squeeze, maps in zip(self.squeeze, finer, strict=True)
        ]
        return [torch.cat([deepest, *squeezed], dim=1)]


class PooledMaps(nn.Module):
    """From fine to coarse: squeezed features are gathered, mixed and averaged down to the next.

    Args:
        info: Channels and strides of the features, fine to coarse.
        is_second: Batch norm and ReLU before each mixing, and a gate on the result.
    """

    def __init__(self, info: Sequence[FeatureInfo], *, is_second: bool):
        super().__init__()
        widths = [max(1, level.channels // REDUCTION) for level in info[:-1]]
        self.squeeze = _squeezes(info, widths)
        self.mix = nn.ModuleList()
        for number in range(2, len(widths) + 1):
            gathered = sum(widths[:number])
            norm = [*_norm_relu(gathered)] if is_second else []
            self.mix.append(nn.Sequential(*norm, nn.Conv2d(gathered, gathered, 1)))
        out_channels = sum(widths) + info[-1].channels
        self.gate = SqueezeExcite(out_channels, REDUCTION) if is_second else nn.Identity()
        self.out_info = [FeatureInfo(out_channels, info[-1].stride)]

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        first, *others = [s(maps) for s, maps in zip(self.squeeze, features[:-1], strict=True)]
        gathered = first
        for mix, maps in zip(self.mix, others, strict=True):
            gathered = mix(torch.cat([_average_to(gathered, maps), maps], dim=1))
        gathered = torch.cat([_average_to(gathered, features[-1]), features[-1]], dim=1)
        return [self.gate(gathered)]


class Pyramid(nn.Module):
    """From coarse to fine: lateral 1x1 convolutions, sums, smoothing between them.

    Args:
        info: Channels and strides of the features, fine to coarse.
        channels: Of all its maps.
        smooth_size: Kernel of the smoothing.
        is_gated: Squeeze-excite gates on the lateral maps.
        align_corners: Of enlarging.
    """

    def __init__(
        self,
        info: Sequence[FeatureInfo],
        channels: int,
        *,
        smooth_size: int,
        is_gated: bool,
        align_corners: bool,
    ):
        super().__init__()
        self.align_corners = align_corners
        self.lateral = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(level.channels, channels, 1),
                SqueezeExcite(channels, REDUCTION) if is_gated else nn.Identity(),
            )
            for level in reversed(info)
        )
        self.smooth = nn.ModuleList(
            nn.Conv2d(channels, channels, smooth_size, padding=smooth_size // 2)
            for _ in range(len(info) - 2)
        )
        self.out_info = [FeatureInfo(channels, level.stride) for level in reversed(info[:-1])]

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        coarse_to_fine = reversed(features)
        top, *finer = [
            layer(maps) for layer, maps in zip(self.lateral, coarse_to_fine, strict=True)
        ]
        sums = [_resize(top, finer[0], self.align_corners) + finer[0]]
        for smooth, maps in zip(self.smooth, finer[1:], strict=True):
            sums.append(_resize(smooth(sums[-1]), maps, self.align_corners) + maps)
        return sums


def _squeezes(info: Sequence[FeatureInfo], widths: Sequence[int]) -> nn.ModuleList:
    """Batch norm, ReLU, 1x1 and a gate, for every feature but the deepest."""
    return nn.ModuleList(
        nn.Sequential(
            *_norm_relu(level.channels),
            nn.Conv2d(level.channels, width, 1),
            SqueezeExcite(width, REDUCTION),
        )
        for level, width in zip(info[:-1], widths, strict=True)
    )


def _norm_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _resize(maps: Tensor, like: Tensor, align_corners: bool) -> Tensor:
    if maps.shape[-2:] == like.shape[-2:]:
        return maps
    return F.interpolate(maps, like.shape[-2:], mode="bilinear", align_corners=align_corners)


def _average_to(maps: Tensor, like: Tensor) -> Tensor:
    """2x2 averages where the other map is half as large; the edge's are of what there is."""
    if maps.shape[-2:] == like.shape[-2:]:
        return maps
    return F.avg_pool2d(maps, 2, ceil_mode=True, count_include_pad=False)
