"""BiSeNet v1: a context path refined by attention, fused with a spatial path."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import conv_bn_relu, pooled_conv_bn_relu

Variant = Literal["gate", "linear_gate", "squeeze"]
Upsampling = Literal["nearest", "bilinear"]


class BiSeNetHead(nn.Module):
    """Context path after the backbone, feature fusion and a last 3x3, at the spatial path's size.

    Args:
        feature_info: Of a backbone `WithSpatialPath`: the spatial path's feature and the two
            deepest ones come last.
        variant: How the fusion weighs its channels; pooled, then before the sigmoid "gate": 1x1,
            batch norm, ReLU (mmsegmentation: no channel is weighed less than a half);
            "linear_gate": 1x1, batch norm (CoinCheung's port, its newer weights); "squeeze": 1x1,
            ReLU, 1x1 without norm (the authors' TorchSeg, and CoinCheung's older weights).
        context_channels: Of the context path.
        fusion_channels: Of the fusion.
        channels: Of the last 3x3: 256, and 64 in TorchSeg.
        reduction: Of the channels inside "squeeze": 4 in CoinCheung's port, 1 in TorchSeg.
        upsampling: In the context path; "bilinear" in TorchSeg, with align_corners.
        dropout: Before the classifier: 0.1 in mmsegmentation, 0 in the others.
        align_corners: Of bilinear upsampling.

    Shape: features -> (B, channels, ceil(H/8), ceil(W/8)); side features: the context maps
        (B, context_channels, ...) at the spatial path's size, then at that of the deepest feature
        but one; auxiliary heads (3x3 to 64 channels, 256 in TorchSeg) read them.

    Raises:
        InputError: The spatial path's feature is missing.

    Source: Yu et al. 2018, arXiv:1808.00897, sections 3.2 and 3.3; the global average is added
        after the first attention refinement, as all three ports.
    """

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        variant: Variant = "gate",
        context_channels: int = 128,
        fusion_channels: int = 256,
        channels: int = 256,
        reduction: int = 4,
        upsampling: Upsampling = "nearest",
        dropout: float = 0.1,
        align_corners: bool = False,
    ):
        super().__init__()
        if len(feature_info) < 3:
            raise InputError(
                "BiSeNet's head reads three features, the spatial path's and the two deepest; "
                f"it got {len(feature_info)}. Wrap the backbone in WithSpatialPath"
            )
        spatial, middle, deepest = feature_info[-3:]
        self.out_channels = channels
        self.out_stride = spatial.stride
        self.dropout = dropout
        self.side_info = (
            FeatureInfo(context_channels, spatial.stride),
            FeatureInfo(context_channels, middle.stride),
        )
        self.upsampling: Upsampling = upsampling
        self.align_corners = align_corners
        self.global_context = pooled_conv_bn_relu(deepest.channels, context_channels)
        self.attention_deepest = AttentionRefinement(deepest.channels, context_channels)
        self.refine_deepest = conv_bn_relu(context_channels, context_channels)
        self.attention_middle = AttentionRefinement(middle.channels, context_channels)
        self.refine_middle = conv_bn_relu(context_channels, context_channels)
        self.fusion = FeatureFusion(
            spatial.channels + context_channels,
            fusion_channels,
            variant=variant,
            reduction=reduction,
        )
        self.last = conv_bn_relu(fusion_channels, channels)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        spatial, middle, deepest = features[-3:]
        context = self.attention_deepest(deepest) + self.global_context(_pool(deepest))
        coarse = self.refine_deepest(self._enlarge(context, middle))
        context = self.attention_middle(middle) + coarse
        fine = self.refine_middle(self._enlarge(context, spatial))
        return HeadOutput(self.last(self.fusion(spatial, fine)), (fine, coarse))

    def _enlarge(self, maps: Tensor, like: Tensor) -> Tensor:
        size = like.shape[-2:]
        if self.upsampling == "nearest":
            return F.interpolate(maps, size=size, mode="nearest")
        return F.interpolate(maps, size=size, mode="bilinear", align_corners=self.align_corners)


class AttentionRefinement(nn.Module):
    """3x3, then every channel weighed by what its own average says.

    Shape: (B, in_channels, h, w) -> (B, out_channels, h, w)

    Source: Yu et al. 2018, section 3.2.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = conv_bn_relu(in_channels, out_channels)
        self.gate = pooled_conv_bn_relu(out_channels, out_channels, activation="none")

    def forward(self, feature: Tensor) -> Tensor:
        convolved = self.conv(feature)
        return convolved * torch.sigmoid(self.gate(_pool(convolved)))


class FeatureFusion(nn.Module):
    """Both paths side by side, a 1x1, and the channels that matter added once more.

    Shape: (B, C_spatial, h, w), (B, C_context, h, w) -> (B, channels, h, w)

    Source: Yu et al. 2018, section 3.3.
    """

    def __init__(self, in_channels: int, channels: int, *, variant: Variant, reduction: int):
        super().__init__()
        self.conv = conv_bn_relu(in_channels, channels, 1)
        if variant == "squeeze":
            self.gate = nn.Sequential(
                nn.Conv2d(channels, channels // reduction, 1, bias=False),
                nn.ReLU(inplace=True),
                nn.Conv2d(channels // reduction, channels, 1, bias=False),
            )
        else:
            activation = "relu" if variant == "gate" else "none"
            self.gate = pooled_conv_bn_relu(channels, channels, activation=activation)

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:
        fused = self.conv(torch.cat([spatial, context], dim=1))
        return fused + fused * torch.sigmoid(self.gate(_pool(fused)))


def _pool(maps: Tensor) -> Tensor:
    return maps.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
