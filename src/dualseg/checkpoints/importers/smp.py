"""segmentation_models_pytorch (0.3 and newer): DeepLabV3, DeepLabV3+ and PSPNet on ResNets.

A folder that the library saved says everything in its config.json. A bare state dict tells network
and backbone, but neither output stride nor rates: then `--arch` must name the stride, and the rates
are the library's 12, 24, 36 at either one. Encoders named `tu-` are timm's.

Images are normalised by the encoder's own statistics: ImageNet's for all of these.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.recognition import count_blocks, resnet_name, rows_of
from dualseg.checkpoints.importers.translation import Translation, Translator
from dualseg.core.errors import InputError

NAME = "smp"
LICENCE = "MIT (of the code)"
BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
CLASSES = {"deeplabv3": "DeepLabV3", "deeplabv3plus": "DeepLabV3Plus", "pspnet": "PSPNet"}
MARKS = {  # a tensor that each of them has, and no other
    "decoder.aspp.convs.4.1.weight": "deeplabv3",
    "decoder.0.convs.4.1.weight": "deeplabv3",  # before it could be scripted
    "decoder.aspp.0.convs.4.1.weight": "deeplabv3plus",
    "decoder.psp.blocks.3.pool.1.0.weight": "pspnet",
}
ENCODERS = ("encoder.model.", "encoder.")  # of timm, its own
UP_TO_STRIDE_8: dict[tuple[bool, tuple[int, ...]], str] = {
    (False, (2, 2, 0, 0)): "resnet18",
    (False, (3, 4, 0, 0)): "resnet34",
    (True, (3, 4, 0, 0)): "resnet50",  # and resnet101: so far they are the same
    (True, (3, 8, 0, 0)): "resnet152",
}
ARCHITECTURES = {
    **{
        f"{name}_{backbone}": f"{title}, {backbone}; output stride and rates from config.json"
        for name, title in CLASSES.items()
        for backbone in BACKBONES
        if name != "pspnet"
    },
    **{f"pspnet_{backbone}": f"PSPNet, {backbone} up to stride 8" for backbone in BACKBONES},
    **{
        f"{name}_{backbone}-os{stride}": f"{title}, {backbone}, output stride {stride}"
        for name, title in CLASSES.items()
        for backbone in BACKBONES
        for stride in (8, 16)
        if name != "pspnet"
    },
}
RATES = (12, 24, 36)
# What a config.json may say that changes the network, and the only value that is covered.
COVERED: dict[str, dict[str, Any]] = {
    "deeplabv3": {
        "encoder_depth": 5,
        "in_channels": 3,
        "upsampling": None,
        "decoder_aspp_separable": False,
    },
    "deeplabv3plus": {
        "encoder_depth": 5,
        "in_channels": 3,
        "upsampling": 4,
        "decoder_aspp_separable": True,
    },
    "pspnet": {"encoder_depth": 3, "in_channels": 3, "upsampling": 8},
}
DEFAULT_STRIDE = {"deeplabv3": 8, "deeplabv3plus": 16}  # where config.json leaves it out


class Dilation(NamedTuple):
    """What the tensors leave open; with its origin, for the model's facts."""

    output_stride: int
    rates: tuple[int, ...]
    origin: str


def recognise(tensors: Mapping[str, Tensor]) -> str | None:
    """Network and backbone, such as `deeplabv3_resnet50`.

    Raises:
        InputError: It is a network of this library that is not covered.
    """
    if "segmentation_head.0.weight" not in tensors:
        return None
    name = next((name for mark, name in MARKS.items() if mark in tensors), None)
    backbone = _backbone(tensors)
    if name is None or backbone is None:
        raise InputError(
            f"this is a network of segmentation_models_pytorch, {name or 'Unet, FPN or the like'} "
            f"on {backbone or 'an encoder that is no ResNet'}; covered are "
            f"{', '.join(CLASSES.values())} on {', '.join(BACKBONES)}"
        )
    return f"{name}_{backbone}"


def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation:
    """One of `ARCHITECTURES` under our names."""
    base, _, stride = arch.partition("-os")
    name, _, backbone = base.partition("_")
    told = recognise(checkpoint.tensors)
    if told != base:
        raise InputError(
            f"{checkpoint.path} is no {arch} of {NAME}: its tensors are those of "
            f"{told or 'another network'}"
        )
    config = checkpoint.meta.get("config")
    config = config if isinstance(config, Mapping) else {}
    _require_covered(name, config, checkpoint)
    dilation = _find_dilation(checkpoint, name, stride, config)
    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    is_timm = moves.has("encoder.model")
    if name == "pspnet":
        for stage in ("layer3", "layer4"):
            moves.drop(f"encoder.{stage}", "the network reads no feature beyond stride 8")
    moves.drop("classification_head", "classifies whole images")
    moves.move("encoder.model" if is_timm else "encoder", "backbone.body")
    options = _HEADS[name](moves)
    moves.move("segmentation_head.0", "predictor.conv")
    weights, dropped = moves.finish()
    num_classes = rows_of(weights, "predictor.conv.weight")
    return Translation(
        architecture={
            "name": name,
            "num_classes": num_classes,
            "backbone": backbone,
            "output_stride": dilation.output_stride,
            "first_block": "contract" if is_timm or name == "pspnet" else "full",
            "align_corners": True,
            **({"atrous_rates": list(dilation.rates)} if dilation.rates else {}),
            **options,
        },
        weights=weights,
        source=f"{NAME} {arch}; output stride and rates from {dilation.origin}",
        licence=LICENCE,
        dropped=dropped,
    )


def _backbone(tensors: Mapping[str, Tensor]) -> str | None:
    """The ResNet of an encoder; timm's encoders end where a PSPNet stops reading."""
    for prefix in ENCODERS:
        if f"{prefix}conv1.weight" not in tensors:
            continue
        blocks = count_blocks(tensors, prefix)
        is_bottleneck = f"{prefix}layer1.0.conv3.weight" in tensors
        return resnet_name(tensors, prefix) or UP_TO_STRIDE_8.get((is_bottleneck, tuple(blocks)))
    return None


def _require_covered(name: str, config: Mapping[str, Any], checkpoint: ForeignCheckpoint) -> None:
    for key, value in COVERED[name].items():
        found = config.get(key, value)
        if found != value:
            raise InputError(
                f"{checkpoint.path}: its config.json says {key} {found!r}; covered is {value!r}"
            )


def _find_dilation(
    checkpoint: ForeignCheckpoint, name: str, stride: str, config: Mapping[str, Any]
) -> Dilation:
    """From config.json, else from the stride that `--arch` ends in.

    Raises:
        InputError: Neither says it, or they contradict each other.
    """
    if name == "pspnet":
        return Dilation(8, (), "its tensors")
    if config:
        own = _read_config(checkpoint, name, config)
        if stride not in ("", str(own.output_stride)):
            raise InputError(
                f"the config.json in {checkpoint.path} contradicts --arch: its output stride is "
                f"{own.output_stride}, not {stride}; leave --arch out"
            )
        return own
    if not stride:
        arch = recognise(checkpoint.tensors)
        raise InputError(
            f"{checkpoint.path} is a {arch} of {NAME} without its config.json, and its tensors do "
            f"not tell the output stride; say it with --arch {arch}-os8 or {arch}-os16 (the "
            f"library's own is {DEFAULT_STRIDE[name]})"
        )
    return Dilation(int(stride), RATES, "--arch")


def _read_config(checkpoint: ForeignCheckpoint, name: str, config: Mapping[str, Any]) -> Dilation:
    try:
        output_stride = int(config.get("encoder_output_stride", DEFAULT_STRIDE[name]))
        rates = tuple(int(rate) for rate in config.get("decoder_atrous_rates", RATES))
    except (TypeError, ValueError) as error:
        raise InputError(f"the config.json in {checkpoint.path} cannot be read: {error}") from error
    return Dilation(output_stride, rates, "config.json")


def _move_deeplab_v3(moves: Translator) -> dict[str, Any]:
    aspp = "decoder.aspp" if moves.has("decoder.aspp") else "decoder.0"
    conv, norm = (
        ("decoder.conv", "decoder.bn") if aspp == "decoder.aspp" else ("decoder.1", "decoder.2")
    )
    _move_aspp(moves, aspp)
    moves.move(conv, "head.fuse.0")
    moves.move(norm, "head.fuse.1")
    return {
        "head_variant": "projected",
        "head_options": {"channels": rows_of(moves.weights, "head.fuse.0.weight")},
    }


def _move_deeplab_v3_plus(moves: Translator) -> dict[str, Any]:
    _move_aspp(moves, "decoder.aspp.0")
    moves.move("decoder.aspp.1", "head.refine")
    moves.move("decoder.aspp.2", "head.refine.2")
    moves.move("decoder.block1", "head.low_level")
    moves.move("decoder.block2.0", "head.fuse")
    moves.move("decoder.block2.1", "head.fuse.2")
    return {
        "head_variant": "smp",
        "head_options": {"channels": rows_of(moves.weights, "head.fuse.1.weight")},
    }


def _move_aspp(moves: Translator, prefix: str) -> None:
    moves.move(f"{prefix}.convs.4.1", "head.aspp.branches.4.conv")
    moves.move(f"{prefix}.convs.4.2", "head.aspp.branches.4.norm")
    for branch in range(4):
        theirs, ours = f"{prefix}.convs.{branch}", f"head.aspp.branches.{branch}"
        if moves.has(f"{theirs}.0.0"):  # depthwise and pointwise
            moves.move(f"{theirs}.0", ours)
            moves.move(f"{theirs}.1", f"{ours}.2")
        else:
            moves.move(theirs, ours)
    moves.move(f"{prefix}.project", "head.aspp.project.0")


def _move_psp(moves: Translator) -> dict[str, Any]:
    """The levels are joined before the feature there, and behind it here."""
    for level in range(4):
        moves.move(f"decoder.psp.blocks.{level}.pool.1", f"head.levels.{level}")
    moves.move("decoder.conv", "head.fuse")
    width, in_channels = moves.weights["head.levels.0.0.weight"].shape[:2]
    moves.reorder_inputs("head.fuse.0.weight", (width,) * 4 + (in_channels,), (4, 0, 1, 2, 3))
    return {
        "head_variant": "smp",
        "head_options": {"channels": rows_of(moves.weights, "head.fuse.0.weight")},
        "backbone_options": {"depth": 3},
    }


_HEADS: dict[str, Callable[[Translator], dict[str, Any]]] = {
    "deeplabv3": _move_deeplab_v3,
    "deeplabv3plus": _move_deeplab_v3_plus,
    "pspnet": _move_psp,
}
