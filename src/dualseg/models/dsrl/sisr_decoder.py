"""SISR: from the shared features to the image at twice the input's size. Training only."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.geometry import Size
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.dsrl.upsampling import crop_to, double_size
from dualseg.models.layers import conv_bn_relu

SisrKind = Literal["espcn", "residual", "single"]

LOW_LEVEL_CHANNELS = 48
SHALLOWEST_STRIDE = 4  # finer features than this would reconstruct the image without the encoder


class Reconstruction(NamedTuple):
    """The image, and the last features before the layer that predicts it."""

    image: Tensor
    features: Tensor


class SISRDecoder(nn.Module):
    """Joins the deepest shared feature with the low-level one and reconstructs the image.

    Args:
        feature_info: Channels and strides of the shared features.
        kind: "espcn" (default): two 3x3 convolutions of 64 and 32 channels, then one sub-pixel
            convolution; "residual": three times [transposed 2x2, residual block] (as Dootmaan's
            port); "single": one 3x3 convolution and a pixel shuffle (as sanje2v's port).
        image_channels: Bands of the image.

    Shape: features -> image (B, image_channels, 2H, 2W), features before the prediction layer

    Source: Wang et al. 2020, section 3.1; sub-pixel convolution: Shi et al. 2016, arXiv:1609.05158,
        but with batch norm and ReLU in place of tanh, so that both sides of the feature affinity
        are non-negative.
    """

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        kind: SisrKind = "espcn",
        image_channels: int = 3,
    ):
        super().__init__()
        fine_enough = [i for i, info in enumerate(feature_info) if info.stride >= SHALLOWEST_STRIDE]
        self.low_level_index = fine_enough[0]
        self.deepest_index = len(feature_info) - 1
        low_level, deepest = feature_info[self.low_level_index], feature_info[-1]
        width = 256 if kind == "single" else 64
        self.low_level = conv_bn_relu(low_level.channels, LOW_LEVEL_CHANNELS, 1)
        self.deepest = conv_bn_relu(deepest.channels, width, 1)
        build = _BUILDERS[kind]
        self.refine, self.predict, self.feature_channels = build(
            width + LOW_LEVEL_CHANNELS, low_level.stride, image_channels
        )

    def forward(self, features: Sequence[Tensor], input_size: Size) -> Reconstruction:
        low_level = self.low_level(features[self.low_level_index])
        deepest = self.deepest(features[self.deepest_index])
        deepest = F.interpolate(
            deepest, size=low_level.shape[-2:], mode="bilinear", align_corners=False
        )
        refined = self.refine(torch.cat([deepest, low_level], dim=1))
        return Reconstruction(crop_to(self.predict(refined), double_size(input_size)), refined)


class ResidualBlock(nn.Module):
    """3x3, ReLU, 3x3 beside a bias-free 1x1."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.skip = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return self.body(maps) + self.skip(maps)


Parts = tuple[nn.Module, nn.Module, int]  # refinement, prediction, feature channels


def _espcn(in_channels: int, stride: int, image_channels: int) -> Parts:
    refine = nn.Sequential(conv_bn_relu(in_channels, 64), conv_bn_relu(64, 32))
    return refine, _sub_pixel(32, 2 * stride, image_channels), 32


def _single(in_channels: int, stride: int, image_channels: int) -> Parts:
    return nn.Identity(), _sub_pixel(in_channels, 2 * stride, image_channels), in_channels


def _residual(in_channels: int, stride: int, image_channels: int) -> Parts:
    refine = nn.Sequential(
        conv_bn_relu(in_channels, 256),
        nn.Dropout(0.5),
        conv_bn_relu(256, 128),
        nn.Dropout(0.1),
        nn.Conv2d(128, 64, 1),
    )
    steps = (2 * stride).bit_length() - 1
    channels = [64] + [max(16, 64 >> step) for step in range(steps)]
    blocks: list[nn.Module] = []
    for a, b in pairwise(channels):
        blocks += [nn.ConvTranspose2d(a, a, 2, stride=2), ResidualBlock(a, b)]
    return refine, nn.Sequential(*blocks, nn.Conv2d(channels[-1], image_channels, 1)), 64


def _sub_pixel(in_channels: int, factor: int, image_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, image_channels * factor**2, 3, padding=1), nn.PixelShuffle(factor)
    )


_BUILDERS = {"espcn": _espcn, "residual": _residual, "single": _single}
