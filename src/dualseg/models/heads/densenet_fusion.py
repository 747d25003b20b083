"""Multi-level fusion on DenseNet ("dense in dense"): coarse maps are added to finer ones."""

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import SqueezeExcite

WIDTH = 416
LEVELS = 4
REDUCTION = 4

Variant = Literal["plain", "newdid4", "newdid4_1", "newdid6", "newdid6_senet"]
VARIANTS: tuple[Variant, ...] = ("newdid6", "newdid6_senet", "newdid4", "newdid4_1", "plain")


class DenseNetFusionHead(nn.Module):
    """A feature pyramid, top down, over the maps before each transition; batch norm and ReLU last.

    Args:
        feature_info: Channels and strides of the features; the last four are fused.
        variant: "plain": the deepest feature alone; "newdid4": lateral 1x1 convolutions to 416
            channels, sums, 3x3 smoothing between them; "newdid4_1": 1x1 smoothing; "newdid6": as
            newdid4_1 with supervision of every sum, the finest is used; "newdid6_senet": and
            squeeze-excite gates on the lateral maps.
        channels: Of the fused maps.
        align_corners: Of enlarging the coarser map.

    Shape: features -> (B, channels, H/4, W/4), or the deepest feature for "plain"; side features,
        for newdid6: the two coarser sums

    Raises:
        InputError: Fewer than four features.

    Source: dongzhuoyao/tensorpack, examples/Deeplab/experiment2, densenet_v1_deepsupervision.py,
        `denseindense` 0, 4, 5, 6 and 7; that newdid4_1 is its number 5 and newdid6_senet its number
        7 is inferred from the description. Lin et al. 2017, arXiv:1612.03144, for the pyramid.
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
        self.align_corners = align_corners
        self.is_plain = variant == "plain"
        self.side_info: tuple[FeatureInfo, ...] = ()
        if self.is_plain:
            self.out_channels, self.out_stride = feature_info[-1]
            self.finish = _norm_relu(self.out_channels)
            return
        if len(feature_info) < LEVELS:
            raise InputError(
                f"multi-level fusion needs {LEVELS} features; this backbone gives "
                f"{len(feature_info)}"
            )
        levels = list(feature_info[-LEVELS:])[::-1]  # coarse to fine
        gated = variant == "newdid6_senet"
        size = 3 if variant == "newdid4" else 1
        self.lateral = nn.ModuleList(_lateral(info.channels, channels, gated) for info in levels)
        self.smooth = nn.ModuleList(
            nn.Conv2d(channels, channels, size, padding=size // 2) for _ in range(LEVELS - 2)
        )
        self.finish = _norm_relu(channels)
        supervised = levels[1:3] if variant.startswith("newdid6") else []
        self.finish_sides = nn.ModuleList(_norm_relu(channels) for _ in supervised)
        self.side_info = tuple(FeatureInfo(channels, info.stride) for info in supervised)
        self.out_channels, self.out_stride = channels, levels[-1].stride

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        if self.is_plain:
            return HeadOutput(self.finish(features[-1]))
        coarse_to_fine = list(features[-LEVELS:])[::-1]
        lateral = [layer(maps) for layer, maps in zip(self.lateral, coarse_to_fine, strict=True)]
        fused = self._add(lateral[0], lateral[1])
        sums = [fused]
        for smooth, finer in zip(self.smooth, lateral[2:], strict=True):
            sums.append(self._add(smooth(sums[-1]), finer))
        sides = [finish(s) for finish, s in zip(self.finish_sides, sums, strict=False)]
        return HeadOutput(self.finish(sums[-1]), tuple(sides))

    def _add(self, coarse: Tensor, fine: Tensor) -> Tensor:
        if coarse.shape[-2:] != fine.shape[-2:]:
            coarse = F.interpolate(
                coarse,
                size=fine.shape[-2:],
                mode="bilinear",
                align_corners=self.align_corners,
            )
        return coarse + fine


def _lateral(in_channels: int, channels: int, gated: bool) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, channels, 1)
    gate: list[nn.Module] = [SqueezeExcite(channels, REDUCTION)] if gated else []
    return nn.Sequential(convolution, *gate)


def _norm_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
