"""Every network by name: literal tables, no registration."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.create import create_backbone, list_backbones
from dualseg.models.backbones.dilation import FirstBlock
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.backbones.multi_scale import MultiScaleBackbone
from dualseg.models.backbones.spatial_path import SPATIAL_CHANNELS, WithSpatialPath
from dualseg.models.combinations import NECKS, PYRAMID_STRIDES, check_combination
from dualseg.models.dsrl.feature_transform import FeatureTransform
from dualseg.models.dsrl.model import DsrlModel, DsrlOptions
from dualseg.models.dsrl.sisr_decoder import SISRDecoder
from dualseg.models.dsrl.sssr_decoder import SSSRDecoder
from dualseg.models.entries import ENTRIES, fill_in_defaults
from dualseg.models.heads.create import create_auxiliary_heads, create_head
from dualseg.models.layers import Activation
from dualseg.models.necks.jpu import JPU
from dualseg.models.necks.pyramid import SimplePyramid
from dualseg.models.option_values import checked_value
from dualseg.models.paper_options import with_paper_options
from dualseg.models.segmentation import Classifier, Resizer, SegmentationModel

Auxiliary = bool | Literal["all"]


def list_models() -> list[str]:
    """Names that `create_model` takes."""
    return list(ENTRIES)


def create_model(
    name: str,
    *,
    num_classes: int,
    in_channels: int = 3,
    backbone: str | None = None,
    output_stride: int | None = None,
    stem: str | None = None,
    first_block: FirstBlock = "contract",
    multi_grid: Sequence[int] | None = None,
    backbone_options: Mapping[str, Any] | None = None,
    atrous_rates: Sequence[int] | None = None,
    head_variant: str | None = None,
    head_options: Mapping[str, Any] | None = None,
    oc: str | None = None,
    neck: str | None = None,
    align_corners: bool = False,
    pretrained: bool | str | os.PathLike[str] = False,
    auxiliary: Auxiliary = False,
    auxiliary_channels: int | None = None,
    auxiliary_activation: Activation = "relu",
    dsrl: bool | Mapping[str, Any] = False,
) -> SegmentationModel | DsrlModel:
    """Builds a network.

    Args:
        name: One of `list_models()`.
        num_classes: Classes predicted, the ignored one not counted.
        in_channels: Bands of the images. Pretrained weights for RGB are adapted; see
            `adapt_first_convolution`.
        backbone: One of `list_backbones()`; the paper's where not given.
        output_stride: Input size divided by the size of the backbone's deepest feature: 8, 16 or
            32. Where not given: the paper's, or the closest one the backbone has; 32 under a JPU.
        stem: ResNets only: "b" (7x7), "c" (three 3x3, narrow), "d" (c, average-pooled shortcuts),
            "s" (three 3x3, wide), "e" (s, average-pooled shortcuts).
        first_block: Dilation of a block that lost its stride: "contract" keeps the one before it,
            "full" takes its stage's, "group" keeps the one before it in the whole stage,
            "undilated" has none.
        multi_grid: Factor on the dilation of each block of a ResNet's last stage.
        backbone_options: What only some backbones know; see `create_backbone`. Those not given are
            the paper's. For BiSeNet also `spatial_channels`: of its spatial path's strided layers,
            and of its feature.
        atrous_rates: Of ASPP and the like; 6, 12, 18 at stride 16 where not given.
        head_variant: Where libraries differ; see the head.
        head_options: What only some heads know, such as `channels`; see the head.
        oc: Another spelling of OCNet's `head_variant`.
        neck: "jpu": joint pyramid upsampling from stride 32 to 8; "pyramid": four strides from the
            deepest feature, the single one of a plain vision transformer.
        align_corners: Of every bilinear resizing in neck, head and classifier. True only for
            weights that were trained so.
        pretrained: Backbone weights: False, True (download) or a local file.
        auxiliary: True: the training-only classifiers of the paper, or an FCN head on the last
            feature but one where it has none; "all": both.
        auxiliary_channels: Width of the FCN heads among them.
        auxiliary_activation: Of the FCN head on a backbone feature: "relu", "leaky_relu" (weights
            trained with in-place activated batch norm) or "none".
        dsrl: True, or a mapping of `DsrlOptions`, wraps the network: it answers at twice its input.

    Returns:
        A network for images (B, in_channels, H, W), in training mode.

    Raises:
        InputError: An unknown name or an impossible combination.
    """
    name = checked_value("name", str, name)
    backbone = checked_value("backbone", str | None, backbone)
    backbone_options = checked_value("backbone_options", dict[str, Any] | None, backbone_options)
    head_options = checked_value("head_options", dict[str, Any] | None, head_options)
    atrous_rates = checked_value("atrous_rates", tuple[int, ...] | None, atrous_rates)
    multi_grid = checked_value("multi_grid", tuple[int, ...] | None, multi_grid)
    backbone, output_stride = fill_in_defaults(
        name, backbone, output_stride, neck=neck, backbone_options=backbone_options
    )
    head_variant = _head_variant(name, head_variant, oc)
    check_combination(
        name,
        num_classes,
        in_channels,
        output_stride,
        first_block,
        neck,
        atrous_rates,
        multi_grid,
        auxiliary_channels,
        auxiliary_activation,
    )
    options = _dsrl_options(dsrl)
    backbone_options = with_paper_options(name, head_variant, backbone, backbone_options)
    architecture = {
        "name": name,
        "backbone": backbone,
        "output_stride": output_stride,
        "stem": stem,
        "first_block": first_block,
        "multi_grid": list(multi_grid) if multi_grid else None,
        "backbone_options": backbone_options,
        "atrous_rates": list(atrous_rates) if atrous_rates else None,
        "head_variant": head_variant,
        "head_options": dict(head_options or {}),
        "neck": neck,
        "align_corners": align_corners,
        "auxiliary": auxiliary,
        "auxiliary_channels": auxiliary_channels,
        "auxiliary_activation": auxiliary_activation,
        "dsrl": options.to_dict() if options else False,
        "num_classes": num_classes,
        "in_channels": in_channels,
    }
    of_body = dict(backbone_options)
    spatial_channels = of_body.pop("spatial_channels", None) if name == "bisenet" else None
    body = create_backbone(
        backbone,
        output_stride=output_stride,
        stem=stem,
        first_block=first_block,
        multi_grid=multi_grid,
        options=of_body,
        in_channels=in_channels,
        pretrained=pretrained,
    )
    shared_info = body.feature_info
    if name == "bisenet":
        widths = checked_value(
            "backbone option 'spatial_channels'",
            tuple[int, ...],
            SPATIAL_CHANNELS if spatial_channels is None else spatial_channels,
        )
        body = WithSpatialPath(
            body,
            channels=widths,  # type: ignore[arg-type]
            in_channels=in_channels,
        )
        shared_info = body.feature_info
    if name == "deeplabv2" and head_variant != "single_scale":
        body = MultiScaleBackbone(body, align_corners=align_corners)
    neck_module = _create_neck(name, neck, body.feature_info, align_corners=align_corners)
    info = neck_module.feature_info if neck_module else body.feature_info
    class_scores = num_classes if options is None else None
    head = create_head(
        name,
        info,
        variant=head_variant,
        options=head_options or {},
        atrous_rates=tuple(atrous_rates) if atrous_rates else None,
        align_corners=align_corners,
        class_scores=class_scores,
    )
    auxiliary_heads = create_auxiliary_heads(
        name,
        head,
        info,
        index=body.auxiliary_index,
        which=auxiliary,
        channels=auxiliary_channels,
        activation=auxiliary_activation,
        num_classes=num_classes,
        class_scores=class_scores,
        align_corners=align_corners,
    )
    predictor: nn.Module
    if options is not None:
        predictor = SSSRDecoder(
            head.out_channels, head.out_stride, num_classes, kind=options.sssr, dropout=head.dropout
        )
    elif name == "deeplabv2":
        predictor = Resizer(align_corners=align_corners)
    else:
        predictor = Classifier(
            head.out_channels,
            num_classes,
            kernel_size=getattr(head, "classifier_size", 1),
            dropout=head.dropout,
            align_corners=align_corners,
        )
    host = SegmentationModel(
        body,  # type: ignore[arg-type]
        head,
        predictor,
        neck=neck_module,
        auxiliary_heads=auxiliary_heads,
        architecture=architecture,
    )
    if options is None or options.inference_only:
        return host
    return _wrap(host, shared_info, options, num_classes, in_channels)


def _head_variant(name: str, variant: str | None, oc: str | None) -> str | None:
    if oc is not None:
        if name != "ocnet":
            raise InputError(f"oc is for ocnet; {name} has none, leave it out")
        if variant not in (None, oc):
            raise InputError(f"oc {oc!r} and head_variant {variant!r} differ; give one of them")
        variant = oc
    known = ENTRIES[name].variants
    if variant is not None and variant not in known:
        raise InputError(
            f"{name} has no head_variant {variant!r}; allowed: {', '.join(known) or 'none'}"
        )
    return variant


def _create_neck(
    name: str, neck: str | None, info: Sequence[FeatureInfo], *, align_corners: bool
) -> JPU | SimplePyramid | None:
    if neck == "jpu":
        return JPU(info, align_corners=align_corners)
    if neck == "pyramid":
        return SimplePyramid(info, strides=PYRAMID_STRIDES[name])
    return None


def _dsrl_options(dsrl: bool | Mapping[str, Any]) -> DsrlOptions | None:
    if isinstance(dsrl, Mapping):
        return DsrlOptions.from_mapping(dsrl)
    if not isinstance(dsrl, bool):
        raise InputError(f"dsrl {dsrl!r} is unknown; use true, false or a mapping of options")
    return DsrlOptions() if dsrl else None


def _wrap(
    host: SegmentationModel,
    info: Sequence[FeatureInfo],
    options: DsrlOptions,
    num_classes: int,
    in_channels: int,
) -> DsrlModel:
    sisr_decoder = ftm = None
    if options.stage >= 2:
        sisr_decoder = SISRDecoder(info, kind=options.sisr, image_channels=in_channels)
    if options.stage >= 3 and sisr_decoder is not None:
        before = options.affinity_features == "before_prediction"
        seg_channels = host.predictor.feature_channels if before else num_classes  # type: ignore[union-attr]
        sr_channels = sisr_decoder.feature_channels if before else in_channels
        ftm = FeatureTransform(
            seg_channels,  # type: ignore[arg-type]
            sr_channels,
            subsampling=options.affinity_subsampling,
            sides=options.ftm,
        )
    return DsrlModel(host, sisr_decoder, ftm, options=options, architecture=host.architecture)


__all__ = ["ENTRIES", "NECKS", "create_model", "list_backbones", "list_models"]
