"""DeepLabV3+: ASPP, then a decoder that joins a fine, low-level feature."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.models.backbones.features import FeatureInfo, index_of_stride
from dualseg.models.heads.expanding_path import ExpandingPath
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
        decoder_channels: Ours, not the paper's: instead of one low-level feature every one is
            joined, in steps of these widths from half the deepest stride down; see
            `ExpandingPath`. For things a pixel or two wide: from stride 32 four steps reach 2.
        dropout: After the ASPP's branches are joined; the variant's where not given.
        align_corners: Of the enlargement.

    Shape: features -> (B, channels, ceil(H/4), ceil(W/4)), or with `decoder_channels`
        (B, decoder_channels[-1], ceil(H/s), ceil(W/s)) at the last step's stride s

    Raises:
        InputError: No feature at stride 4, or at a step's; atrous_rates is empty or holds a value
            below 1.

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
        decoder_channels: tuple[int, ...] | None = None,
        dropout: float | None = None,
        align_corners: bool = False,
    ):
        super().__init__()
        form = FORMS[variant]
        width = channels or form.channels
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
        self.path: ExpandingPath | None = None
        if decoder_channels is None:
            self.out_channels, self.out_stride = width, 4
            self.low_level_index = index_of_stride(feature_info, 4, wanted_by="DeepLabV3+")
            fine_channels = feature_info[self.low_level_index].channels
            self.low_level = conv_bn_relu(fine_channels, low_level_channels, 1)
            self.fuse = _decoder(width + low_level_channels, width, form)
        else:
            self.path = ExpandingPath(
                feature_info, width, decoder_channels, align_corners=align_corners
            )
            self.out_channels, self.out_stride = decoder_channels[-1], self.path.stride

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        context = self.refine(self.aspp(features[-1]))
        if self.path is not None:
            return HeadOutput(self.path(context, features))
        low_level = self.low_level(features[self.low_level_index])
        context = F.interpolate(
            context,
            size=low_level.shape[-2:],
            mode="bilinear",
            align_corners=self.align_corners,
        )
        return HeadOutput(self.fuse(torch.cat([context, low_level], dim=1)))


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
