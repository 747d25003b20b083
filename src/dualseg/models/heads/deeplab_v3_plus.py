"""DeepLabV3+: ASPP, then a decoder that joins a fine, low-level feature, or two of them."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.models.backbones.features import FeatureInfo, index_of_stride
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import ASPP, conv_bn_relu, separable_conv_bn_relu

LOW_LEVEL_CHANNELS = 48

Variant = Literal["separable", "standard", "single", "single_separable", "bottleneck", "smp"]


class Form(NamedTuple):
    """What makes a variant.

    Attributes:
        separable: Depthwise separable 3x3, in ASPP and decoder.
        norm_between: Batch norm and ReLU inside these.
        channels: Of the ASPP and the decoder.
        project_size: Kernel that joins the ASPP's branches.
        aspp_dropout: After them.
        refined: One more 3x3 on the ASPP's result, before it is enlarged.
        decoder_dropout: After each 3x3 of the decoder; there are as many as entries.
        dropout: Before the classifier.
    """

    separable: bool
    decoder_dropout: tuple[float, ...]
    aspp_dropout: float = 0.5
    norm_between: bool = False
    channels: int = 256
    project_size: int = 1
    refined: bool = False
    dropout: float = 0.0


FORMS: dict[Variant, Form] = {
    "separable": Form(separable=True, decoder_dropout=(0.0, 0.0)),
    "standard": Form(separable=False, decoder_dropout=(0.5, 0.1)),
    "single": Form(separable=False, decoder_dropout=(0.0,), aspp_dropout=0.1),
    "single_separable": Form(separable=True, decoder_dropout=(0.0,), aspp_dropout=0.1),
    "bottleneck": Form(
        separable=True,
        decoder_dropout=(0.0, 0.0),
        aspp_dropout=0.0,
        norm_between=True,
        channels=512,
        project_size=3,
        dropout=0.1,
    ),
    "smp": Form(separable=True, decoder_dropout=(0.0,), refined=True),
}
VARIANTS: tuple[Variant, ...] = tuple(FORMS)


class DeepLabV3PlusHead(nn.Module):
    """ASPP on the deepest feature, upsampled to stride 4, joined with the low-level feature,
    refined.

    Args:
        feature_info: Channels and strides of the features; one must have stride 4.
        atrous_rates: Dilation of each 3x3 ASPP branch, in feature pixels.
        variant: "separable": depthwise separable ASPP branches and two separable 3x3 in the
            decoder, the paper's own choice (its section 4.3); "standard": full convolutions, two
            3x3 with dropout 0.5 and 0.1 (jfzhang's port); "single": full convolutions, one 3x3
            (VainF's port); "single_separable": the same made separable (VainF's
            --separable_conv); "bottleneck": 512 channels, the branches joined by a 3x3, separable
            3x3 with batch norm and ReLU inside (mmsegmentation); "smp": separable, a 3x3 on
            either side of the enlargement (segmentation_models_pytorch).
        channels: Of ASPP and decoder; the variant's where not given.
        low_level_channels: Of the low-level feature after its 1x1.
        fine_channels: Ours, not the paper's: the decoder goes on to stride 2, with so many
            channels. Its map and the backbone's feature there, each after a 1x1, are joined by a
            3x3. For things a pixel or two wide, which a map at stride 4 cannot hold.
        dropout: After the ASPP's branches are joined; the variant's where not given.
        align_corners: Of the enlargement.

    Shape: features -> (B, channels, ceil(H/4), ceil(W/4)), or with `fine_channels`
        (B, fine_channels, ceil(H/2), ceil(W/2))

    Raises:
        InputError: No feature at stride 4, or none at stride 2 where it is wanted; atrous_rates is
            empty or holds a value below 1.

    Source: Chen et al. 2018, arXiv:1802.02611, sections 3.1 and 4.1 (48 low-level channels).
    """

    side_info: tuple[FeatureInfo, ...] = ()

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        atrous_rates: tuple[int, ...],
        variant: Variant = "separable",
        channels: int | None = None,
        low_level_channels: int = LOW_LEVEL_CHANNELS,
        fine_channels: int | None = None,
        dropout: float | None = None,
        align_corners: bool = False,
    ):
        super().__init__()
        form = FORMS[variant]
        width = channels or form.channels
        self.low_level_index = index_of_stride(feature_info, 4, wanted_by="DeepLabV3+")
        self.out_channels = fine_channels or width
        self.out_stride = 2 if fine_channels else 4
        self.dropout = form.dropout
        self.align_corners = align_corners
        self.aspp = ASPP(
            feature_info[-1].channels,
            width,
            atrous_rates=atrous_rates,
            separable=form.separable,
            dropout=form.aspp_dropout if dropout is None else dropout,
            norm_between=form.norm_between,
            project_size=form.project_size,
        )
        self.refine = _conv_3x3(width, width, form) if form.refined else nn.Identity()
        self.low_level = conv_bn_relu(
            feature_info[self.low_level_index].channels, low_level_channels, 1
        )
        self.fuse = _decoder(width + low_level_channels, width, form)
        self.finer: FinerStep | None = None
        if fine_channels:
            self.finer = FinerStep(
                feature_info,
                width,
                fine_channels,
                separable=form.separable,
                norm_between=form.norm_between,
                align_corners=align_corners,
            )

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        low_level = self.low_level(features[self.low_level_index])
        context = self.refine(self.aspp(features[-1]))
        context = F.interpolate(
            context,
            size=low_level.shape[-2:],
            mode="bilinear",
            align_corners=self.align_corners,
        )
        fused = self.fuse(torch.cat([context, low_level], dim=1))
        return HeadOutput(fused if self.finer is None else self.finer(fused, features))


class FinerStep(nn.Module):
    """The decoder's step from stride 4 to stride 2, as narrow as so large a map allows.

    Args:
        feature_info: Of the backbone.
        in_channels: Of the decoder's map.
        channels: Of the result, and of both maps that are joined.
        separable: The 3x3 is depthwise separable.
        norm_between: Batch norm and ReLU inside it.
        align_corners: Of the enlargement.

    Shape: (B, in_channels, H/4, W/4), features -> (B, channels, ceil(H/2), ceil(W/2))
    """

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        in_channels: int,
        channels: int,
        *,
        separable: bool,
        norm_between: bool,
        align_corners: bool,
    ):
        super().__init__()
        self.index = index_of_stride(feature_info, 2, wanted_by="DeepLabV3+ with fine_channels")
        self.align_corners = align_corners
        self.context = conv_bn_relu(in_channels, channels, 1)
        self.detail = conv_bn_relu(feature_info[self.index].channels, channels, 1)
        self.fuse = (
            separable_conv_bn_relu(2 * channels, channels, norm_between=norm_between)
            if separable
            else conv_bn_relu(2 * channels, channels)
        )

    def forward(self, decoded: Tensor, features: Sequence[Tensor]) -> Tensor:
        detail = self.detail(features[self.index])
        context = F.interpolate(
            self.context(decoded),
            size=detail.shape[-2:],
            mode="bilinear",
            align_corners=self.align_corners,
        )
        return self.fuse(torch.cat([context, detail], dim=1))


def _conv_3x3(in_channels: int, out_channels: int, form: Form) -> nn.Sequential:
    if form.separable:
        return separable_conv_bn_relu(in_channels, out_channels, norm_between=form.norm_between)
    return conv_bn_relu(in_channels, out_channels)


def _decoder(in_channels: int, channels: int, form: Form) -> nn.Sequential:
    if len(form.decoder_dropout) == 1:
        return _conv_3x3(in_channels, channels, form)
    layers: list[nn.Module] = []
    for dropout in form.decoder_dropout:
        layers.append(_conv_3x3(in_channels, channels, form))
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        in_channels = channels
    return nn.Sequential(*layers)
