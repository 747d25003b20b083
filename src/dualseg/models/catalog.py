"""Every network by name: literal tables, no registration."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from torch import nn

from dualseg.core.errors import InputError, nearest
from dualseg.models.backbones.dilation import FirstBlock
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.backbones.timm_backbone import TimmBackbone, list_backbones
from dualseg.models.dsrl.feature_transform import FeatureTransform
from dualseg.models.dsrl.model import DsrlModel, DsrlOptions
from dualseg.models.dsrl.sisr_decoder import SISRDecoder
from dualseg.models.dsrl.sssr_decoder import SSSRDecoder
from dualseg.models.heads.deeplab_v3 import DeepLabV3Head
from dualseg.models.heads.deeplab_v3_plus import VARIANTS, DeepLabV3PlusHead
from dualseg.models.heads.fcn import FCNHead
from dualseg.models.layers import default_atrous_rates, initialize
from dualseg.models.segmentation import AuxiliaryHead, Classifier, SegmentationModel

SUMMARIES = {
    "fcn": "FCN, Long et al. 2015: one 3x3 convolution on the deepest feature",
    "deeplabv3": "DeepLabV3, Chen et al. 2017: atrous spatial pyramid pooling",
    "deeplabv3plus": "DeepLabV3+, Chen et al. 2018: ASPP and a decoder with a low-level feature",
}
HEAD_VARIANTS: dict[str, tuple[str, ...]] = {"deeplabv3plus": VARIANTS}


def list_models() -> list[str]:
    """Names that `create_model` takes."""
    return list(SUMMARIES)


def create_model(
    name: str,
    *,
    num_classes: int,
    backbone: str = "resnet50",
    output_stride: int = 16,
    stem: str | None = None,
    first_block: FirstBlock = "contract",
    multi_grid: Sequence[int] | None = None,
    atrous_rates: Sequence[int] | None = None,
    head_variant: str | None = None,
    neck: str | None = None,
    pretrained: bool | str = False,
    auxiliary: bool = False,
    dsrl: bool | Mapping[str, Any] = False,
) -> SegmentationModel | DsrlModel:
    """Builds a network.

    Args:
        name: One of `list_models()`.
        num_classes: Classes predicted, the ignored one not counted.
        backbone: One of `list_backbones()`.
        output_stride: Input size divided by the deepest feature's size: 8, 16 or 32.
        stem: ResNets only: "b" (7x7), "c" (three 3x3, narrow), "s" (three 3x3, wide).
        first_block: Dilation of a block that lost its stride: "contract" keeps the one before it,
            "full" takes its stage's.
        multi_grid: Factor on the dilation of each block of a ResNet's last stage.
        atrous_rates: ASPP branches; 6, 12, 18 at output stride 16 where not given.
        head_variant: Where libraries differ; see the head.
        neck: None so far.
        pretrained: Backbone weights: False, True (download) or a local file.
        auxiliary: An FCN head on the last feature but one, for training.
        dsrl: True, or a mapping of `DsrlOptions`, wraps the network: it answers at twice its input.

    Returns:
        A network for images (B, 3, H, W), in training mode.

    Raises:
        InputError: An unknown name or an impossible combination.
    """
    if name not in SUMMARIES:
        raise InputError(f"there is no model {name!r}; {nearest(name, SUMMARIES)}")
    if num_classes < 1:
        raise InputError(f"num_classes is {num_classes}; at least 1 class is needed")
    if output_stride not in (8, 16, 32):
        raise InputError(f"output_stride {output_stride} is not possible; use 8, 16 or 32")
    if first_block not in get_args(FirstBlock):
        raise InputError(f"first_block {first_block!r} is unknown; use contract or full")
    if neck is not None:
        raise InputError(f"there is no neck {neck!r}; leave neck out")
    variants = HEAD_VARIANTS.get(name, ())
    if head_variant is not None and head_variant not in variants:
        known = ", ".join(variants) or "none"
        raise InputError(f"{name} has no head_variant {head_variant!r}; allowed: {known}")
    if atrous_rates is not None and name == "fcn":
        raise InputError("fcn has no atrous_rates; leave them out or use deeplabv3")

    options = _dsrl_options(dsrl)
    architecture = {
        "name": name,
        "backbone": backbone,
        "output_stride": output_stride,
        "stem": stem,
        "first_block": first_block,
        "multi_grid": list(multi_grid) if multi_grid else None,
        "atrous_rates": list(atrous_rates) if atrous_rates else None,
        "head_variant": head_variant,
        "neck": neck,
        "auxiliary": auxiliary,
        "dsrl": options.to_dict() if options else False,
        "num_classes": num_classes,
    }
    body = TimmBackbone(
        backbone,
        output_stride=output_stride,
        stem=stem,
        first_block=first_block,
        multi_grid=multi_grid,
        pretrained=pretrained,
    )
    rates = tuple(atrous_rates or default_atrous_rates(output_stride))
    head = _create_head(name, body.feature_info, rates, head_variant)
    initialize(head)
    auxiliary_heads = [_auxiliary_head(body.feature_info, num_classes)] if auxiliary else []
    if options is None:
        predictor: nn.Module = Classifier(head.out_channels, num_classes, dropout=head.dropout)
    else:
        predictor = SSSRDecoder(
            head.out_channels,
            head.out_stride,
            num_classes,
            kind=options.sssr,
            dropout=head.dropout,
        )
    host = SegmentationModel(
        body, head, predictor, auxiliary_heads=auxiliary_heads, architecture=architecture
    )
    if options is None or options.inference_only:
        return host
    return _wrap(host, body.feature_info, options, num_classes)


def _create_head(
    name: str, info: Sequence[FeatureInfo], rates: tuple[int, ...], variant: str | None
) -> FCNHead | DeepLabV3Head | DeepLabV3PlusHead:
    if name == "fcn":
        return FCNHead(info)
    if name == "deeplabv3":
        return DeepLabV3Head(info, atrous_rates=rates)
    return DeepLabV3PlusHead(info, atrous_rates=rates, variant=variant or "separable")  # type: ignore[arg-type]


def _auxiliary_head(info: Sequence[FeatureInfo], num_classes: int) -> AuxiliaryHead:
    if len(info) < 2:
        raise InputError("an auxiliary head needs a backbone with at least two features")
    head = FCNHead(info, index=-2)
    initialize(head)
    return AuxiliaryHead(head, Classifier(head.out_channels, num_classes, dropout=head.dropout))


def _dsrl_options(dsrl: bool | Mapping[str, Any]) -> DsrlOptions | None:
    if isinstance(dsrl, Mapping):
        return DsrlOptions.from_mapping(dsrl)
    return DsrlOptions() if dsrl else None


def _wrap(
    host: SegmentationModel, info: Sequence[FeatureInfo], options: DsrlOptions, num_classes: int
) -> DsrlModel:
    sisr_decoder = ftm = None
    if options.stage >= 2:
        sisr_decoder = SISRDecoder(info, kind=options.sisr)
    if options.stage >= 3 and sisr_decoder is not None:
        before = options.affinity_features == "before_prediction"
        seg_channels = host.predictor.feature_channels if before else num_classes  # type: ignore[union-attr]
        sr_channels = sisr_decoder.feature_channels if before else 3
        ftm = FeatureTransform(
            seg_channels,  # type: ignore[arg-type]
            sr_channels,
            subsampling=options.affinity_subsampling,
            sides=options.ftm,
        )
    return DsrlModel(host, sisr_decoder, ftm, options=options, architecture=host.architecture)


__all__ = ["HEAD_VARIANTS", "SUMMARIES", "create_model", "list_backbones", "list_models"]
