"""What an mmsegmentation state dict does not tell about its network: strides, dilations, corners.

It stands in the config that the file itself carries, or follows from the name of a published file.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dualseg.core.errors import InputError

Triple = tuple[float, float, float]
BACKBONES = ("ResNet", "ResNetV1c", "MobileNetV2")
NETWORK = (
    "output_stride",
    "dilations",
    "rates",
    "pool_sizes",
    "head_dilation",
    "recurrence",
    "align_corners",
)
DEFAULTS = {
    "ASPPHead": {"dilations": (1, 6, 12, 18)},
    "DepthwiseSeparableASPPHead": {"dilations": (1, 6, 12, 18)},
    "PSPHead": {"pool_scales": (1, 2, 3, 6)},
}
HARMLESS = {
    "type",
    "depth",
    "num_stages",
    "out_indices",
    "norm_cfg",
    "norm_eval",
    "contract_dilation",
    "dilations",
    "strides",
    "multi_grid",
    "in_channels",
    "init_cfg",
    "pretrained",
    "frozen_stages",
    "with_cp",
    "stem_channels",
    "style",
    "widen_factor",
    "zero_init_residual",
    "act_cfg",
}
NORM_EPSILON = 1e-5
NORM_KEYS = {"type", "requires_grad", "momentum", "eps"}


class Layout(NamedTuple):
    """Everything about a network that its tensors do not tell.

    Attributes:
        output_stride: Of the backbone.
        dilations: Of every block, a stage each; the strides follow from `output_stride`.
        rates: Dilation of each ASPP branch, the 1x1 first; empty where there is no ASPP.
        pool_sizes: Of a pyramid pooling; empty where there is none.
        head_dilation: Of an FCN head's convolutions.
        auxiliary_dilation: Of the auxiliary heads' convolutions.
        recurrence: Of criss-cross attention.
        align_corners: Of every resizing.
        crop_size: (height, width) of the training crop, where known.
        mean: Of the images, 0 to 1; None where not said.
        std: As `mean`.
        origin: Where this stands, for the model's facts.
    """

    output_stride: int
    dilations: tuple[tuple[int, ...], ...]
    rates: tuple[int, ...]
    pool_sizes: tuple[int, ...]
    head_dilation: int
    auxiliary_dilation: int
    recurrence: int
    align_corners: bool
    crop_size: tuple[int, int] | None
    mean: Triple | None
    std: Triple | None
    origin: str

    def differences(self, other: "Layout") -> str:
        """What of the network itself differs, in words; empty where nothing does."""
        return ", ".join(
            f"{name} {mine} and {theirs}"
            for name, mine, theirs in zip(self._fields, self, other, strict=True)
            if name in NETWORK and mine != theirs
        )


def read_layout(config: Mapping[str, Any], blocks: Sequence[int], *, origin: str) -> Layout:
    """The layout that a config describes.

    Args:
        config: Its assignments.
        blocks: Blocks in each stage of the backbone.
        origin: Where it comes from.

    Raises:
        InputError: It describes a network that is not covered.
    """
    try:
        return _read_layout(config, blocks, origin)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{origin} describes no network that can be read ({error}); name it with --arch"
        ) from error


def _read_layout(config: Mapping[str, Any], blocks: Sequence[int], origin: str) -> Layout:
    model = config["model"]
    backbone = model["backbone"]
    head = {**DEFAULTS.get(model["decode_head"].get("type"), {}), **model["decode_head"]}
    for part in (backbone, model.get("neck") or {}, head, *_auxiliary_heads(model)):
        _require_plain_layers(part, origin)
    if backbone["type"] == "BiSeNetV1":
        backbone = backbone["backbone_cfg"]
        _require_plain_layers(backbone, origin)
    _require_covered(backbone, origin)
    strides = _integers(backbone.get("strides", (1, 2, 2, 2)))
    if backbone["type"] == "MobileNetV2":
        dilations = _mobilenet_dilations(backbone, blocks)
        output_stride = 2
    else:
        dilations = _resnet_dilations(backbone, blocks)
        output_stride = 4
    for stride in strides:
        output_stride *= stride
    crop_size = config.get("crop_size")
    mean, std = _statistics(config, origin)
    return Layout(
        output_stride=output_stride,
        dilations=dilations,
        rates=_integers(head.get("dilations", ())),
        pool_sizes=_integers(head.get("pool_scales", ())),
        head_dilation=int(head.get("dilation", 1)),
        auxiliary_dilation=max(
            (int(head.get("dilation", 1)) for head in _auxiliary_heads(model)), default=1
        ),
        recurrence=int(head.get("recurrence", 2)),
        align_corners=_one_corner_rule(model, origin),
        crop_size=(int(crop_size[0]), int(crop_size[1])) if crop_size else None,
        mean=mean,
        std=std,
        origin=origin,
    )


def _require_covered(backbone: Mapping[str, Any], origin: str) -> None:
    if backbone["type"] not in BACKBONES:
        raise InputError(
            f"{origin} has the backbone {backbone['type']}; covered are {', '.join(BACKBONES)}"
        )
    style = backbone.get("style", "pytorch")
    if style != "pytorch":
        raise InputError(f"{origin} has a backbone of style {style}, which is not covered")
    for key, value in backbone.items():
        if key not in HARMLESS and value is not None and value is not False:
            raise InputError(f"{origin} sets {key}={value!r} in its backbone: not covered")


def _require_plain_layers(part: Mapping[str, Any], origin: str) -> None:
    """Norm layers and activations, of which no tensor tells how they compute."""
    norm = part.get("norm_cfg") or {}
    if norm.get("type", "BN") not in ("BN", "SyncBN"):
        raise InputError(f"{origin} has norm layers {norm['type']}; covered are BN and SyncBN")
    if norm.get("eps", NORM_EPSILON) != NORM_EPSILON or not norm.keys() <= NORM_KEYS:
        raise InputError(
            f"{origin} has norm layers {dict(norm)}; covered are those with eps {NORM_EPSILON:g} "
            "and no other settings"
        )
    covered = "ReLU6" if part.get("type") == "MobileNetV2" else "ReLU"
    activation = part.get("act_cfg", {"type": covered})
    if not activation or activation.get("type") != covered:
        raise InputError(
            f"{origin} has the activation {activation} in its {part.get('type')}; covered is "
            f"{covered}"
        )


def _statistics(config: Mapping[str, Any], origin: str) -> tuple[Triple | None, Triple | None]:
    """Mean and deviation of the images, as the network's own preprocessor (1.x) or 0.x has them."""
    newer = config["model"].get("data_preprocessor") or config.get("data_preprocessor")
    images = newer or config.get("img_norm_cfg")
    if not images:
        return None, None
    is_red_first = newer.get("bgr_to_rgb", False) if newer else images.get("to_rgb", True)
    if is_red_first is not True:
        raise InputError(f"{origin} reads its images blue first, which is not covered")
    if images.get("mean") is None or images.get("std") is None:
        raise InputError(f"{origin} gives no mean and std of its images: not covered")
    return _of_one(images["mean"]), _of_one(images["std"])


def _resnet_dilations(
    backbone: Mapping[str, Any], blocks: Sequence[int]
) -> tuple[tuple[int, ...], ...]:
    stages = []
    for stage, count in zip(backbone.get("dilations", (1, 1, 1, 1)), blocks, strict=True):
        first = stage // 2 if backbone.get("contract_dilation") and stage > 1 else stage
        stages.append((first, *(stage,) * (count - 1)))
    if backbone.get("multi_grid"):
        grid = _integers(backbone["multi_grid"])
        if len(grid) != blocks[-1]:
            raise ValueError(f"multi_grid {grid} for {blocks[-1]} blocks")
        stages[-1] = grid
    return tuple(stages)


def _mobilenet_dilations(
    backbone: Mapping[str, Any], blocks: Sequence[int]
) -> tuple[tuple[int, ...], ...]:
    """Only the first block of a stage is dilated."""
    stages = zip(backbone.get("dilations", (1,) * 7), blocks, strict=True)
    return tuple((stage, *(1,) * (count - 1)) for stage, count in stages)


def _one_corner_rule(model: Mapping[str, Any], origin: str) -> bool:
    """`align_corners` of the head; a neck must agree."""
    parts = [model[part] for part in ("decode_head", "neck") if part in model]
    rules = [part.get("align_corners", False) for part in parts]
    if len(set(rules)) != 1 or not isinstance(rules[0], bool):
        raise InputError(f"{origin} aligns corners in one part and not in another: not covered")
    return rules[0]


def _auxiliary_heads(model: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    heads = model.get("auxiliary_head") or ()
    return heads if isinstance(heads, list | tuple) else (heads,)


def _integers(values: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _of_one(values: Sequence[Any]) -> Triple:
    """Values of 0 to 255 as those of 0 to 1."""
    red, green, blue = (round(float(value) / 255, 6) for value in values)
    return red, green, blue
