"""U-Net's way up: one step a doubling, each joined by the backbone's feature of that size."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.features import FeatureInfo, index_of_stride
from dualseg.models.layers import conv_bn_relu


class ExpandingPath(nn.Module):
    """From a map at the deepest feature's stride to one 2, 4, 8 ... times as fine.

    Args:
        feature_info: Of the backbone; there must be a feature at the stride of every step.
        in_channels: Of the map.
        channels: Width of each step, coarse to fine: the deepest stride halved, quartered, ...
        align_corners: Of the enlargements.

    Shape: (B, in_channels, h, w), features ->
        (B, channels[-1], ceil(H / stride), ceil(W / stride)) of an image of H x W

    Raises:
        InputError: More steps than there are doublings, or no feature at a step's stride.

    Source: after Ronneberger et al. 2015, arXiv:1505.04597, section 2, with 1x1 convolutions that
        narrow both maps before they are joined, and one 3x3 a step.
    """

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        in_channels: int,
        channels: Sequence[int],
        *,
        align_corners: bool,
    ):
        super().__init__()
        deepest = feature_info[-1].stride
        self.stride = deepest >> len(channels)
        if not channels or min(channels) < 1 or self.stride < 1:
            raise InputError(
                f"decoder_channels is {list(channels)}; give the width of each step from stride "
                f"{deepest // 2} down, at least 1 each, at most {deepest.bit_length() - 1} of them"
            )
        strides = [deepest >> step for step in range(1, len(channels) + 1)]
        self.indexes = [
            index_of_stride(feature_info, stride, wanted_by=f"decoder_channels {list(channels)}")
            for stride in strides
        ]
        self.steps = nn.ModuleList(
            Step(
                coarse,
                feature_info[index].channels,
                fine,
                align_corners=align_corners,
            )
            for index, (coarse, fine) in zip(
                self.indexes, pairwise([in_channels, *channels]), strict=True
            )
        )

    def forward(self, maps: Tensor, features: Sequence[Tensor]) -> Tensor:
        for index, step in zip(self.indexes, self.steps, strict=True):
            maps = step(maps, features[index])
        return maps


class Step(nn.Module):
    """A map is narrowed and enlarged, joined with a narrowed feature, and refined.

    Args:
        in_channels: Of the coarse map.
        feature_channels: Of the feature.
        channels: Of the result, and of both maps that are joined.
        align_corners: Of the enlargement.

    Shape: (B, in_channels, h, w), (B, feature_channels, H, W) -> (B, channels, H, W)
    """

    def __init__(
        self,
        in_channels: int,
        feature_channels: int,
        channels: int,
        *,
        align_corners: bool,
    ):
        super().__init__()
        self.align_corners = align_corners
        self.context = conv_bn_relu(in_channels, channels, 1)
        self.detail = conv_bn_relu(feature_channels, channels, 1)
        self.fuse = conv_bn_relu(2 * channels, channels)

    def forward(self, maps: Tensor, feature: Tensor) -> Tensor:
        detail = self.detail(feature)
        context = F.interpolate(
            self.context(maps),
            size=detail.shape[-2:],
            mode="bilinear",
            align_corners=self.align_corners,
        )
        return self.fuse(torch.cat([context, detail], dim=1))
