"""EncNet: channels weighed by an encoding of the whole image against learnt codewords."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.attention import positions, without_autocast
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import conv_bn_relu


class EncNetHead(nn.Module):
    """The deepest feature, its channels weighed by an encoding of its positions.

    Args:
        feature_info: Channels and strides of the features it is given.
        channels: Of the result.
        num_codewords: Of the encoding.
        kernel_size: Of the first convolution: 3; 1 in FastFCN behind JPU (3 in mmsegmentation's).
        lateral: Joins the two features before the deepest one, as Zhang's Pascal Context models.
        align_corners: Of the resizing of lateral features.

    Shape: features[-1] (B, C, H/s, W/s) -> (B, channels, H/s, W/s)

    Raises:
        InputError: lateral with fewer than three features.

    Source: Zhang et al. 2018, arXiv:1803.08904, section 3. Differs: no classifier of the classes
        present in the image on the encoding (its SE loss), which no prediction reads.
    """

    side_info: tuple[FeatureInfo, ...] = ()
    dropout = 0.1

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        channels: int = 512,
        num_codewords: int = 32,
        kernel_size: int = 3,
        lateral: bool = False,
        align_corners: bool = False,
    ):
        super().__init__()
        if lateral and len(feature_info) < 3:
            raise InputError(
                f"lateral joins three features and there are {len(feature_info)}; leave it out"
            )
        in_channels, self.out_stride = feature_info[-1]
        self.out_channels = channels
        self.align_corners = align_corners
        self.reduce = conv_bn_relu(in_channels, channels, kernel_size)
        self.laterals = nn.ModuleList(
            conv_bn_relu(info.channels, channels, 1) for info in feature_info[-3:-1] if lateral
        )
        self.fuse = conv_bn_relu(3 * channels, channels) if lateral else nn.Identity()
        self.project = conv_bn_relu(channels, channels, 1)
        self.encoding = Encoding(channels, num_codewords)
        self.norm = nn.BatchNorm1d(num_codewords)
        self.gate = nn.Linear(channels, channels)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        maps = self.reduce(features[-1])
        if self.laterals:
            maps = self.fuse(torch.cat([maps, *self._lateral_maps(features, maps)], dim=1))
        residuals = self.encoding(self.project(maps))  # (B, K, C)
        summary = F.relu(self.norm(residuals)).mean(dim=1)  # (B, C)
        weights = torch.sigmoid(self.gate(summary))[:, :, None, None]
        return HeadOutput(F.relu(maps + maps * weights))

    def _lateral_maps(self, features: Sequence[Tensor], like: Tensor) -> list[Tensor]:
        return [
            F.interpolate(
                lateral(feature),
                size=like.shape[-2:],
                mode="bilinear",
                align_corners=self.align_corners,
            )
            for lateral, feature in zip(self.laterals, features[-3:-1], strict=True)
        ]


class Encoding(nn.Module):
    """For every codeword, the sum of the positions' differences from it, by soft assignment.

    A position x belongs to codeword c_k with weight softmax_k(s_k |x - c_k|^2). Squares and sums
    are multiplied out, so that no difference of every position from every codeword is held; they
    are in fp32 under autocast too.

    Args:
        channels: Of the positions and the codewords.
        num_codewords: K

    Shape: (B, C, h, w) -> (B, K, C)

    Source: Zhang et al. 2018, section 3.1; Zhang et al. 2017, arXiv:1612.02844.
    """

    def __init__(self, channels: int, num_codewords: int):
        super().__init__()
        bound = (num_codewords * channels) ** -0.5
        self.codewords = nn.Parameter(torch.empty(num_codewords, channels).uniform_(-bound, bound))
        self.smoothing = nn.Parameter(torch.empty(num_codewords).uniform_(-1, 0))

    def forward(self, maps: Tensor) -> Tensor:
        with without_autocast(maps):
            vectors = positions(maps).float()  # (B, N, C)
            codewords = self.codewords.float()
            products = vectors @ codewords.T  # (B, N, K)
            squares = vectors.square().sum(dim=2, keepdim=True) + codewords.square().sum(dim=1)
            weights = torch.softmax(self.smoothing.float() * (squares - 2 * products), dim=2)
            residuals = weights.mT @ vectors - weights.sum(dim=1).unsqueeze(2) * codewords
        return residuals.to(self.codewords.dtype)
