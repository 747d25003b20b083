"""VainF/DeepLabV3Plus-Pytorch: DeepLabV3 and V3+ on ResNets and MobileNetV2.

Its files do not say the output stride; 16 is what was published. Its HRNets and Xception are not
covered.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.class_tables import labels_by_count
from dualseg.checkpoints.importers.mobilenet_v2 import move_mobilenet_v2
from dualseg.checkpoints.importers.recognition import resnet_name, rows_of
from dualseg.checkpoints.importers.translation import Translation, Translator
from dualseg.core.errors import InputError

NAME = "vainf"
LICENCE = "MIT (of the code)"
TITLES = {"deeplabv3": "DeepLabV3", "deeplabv3plus": "DeepLabV3+"}
BACKBONES: dict[str, dict[str, Any]] = {
    "resnet50": {"backbone": "resnet50"},
    "resnet101": {"backbone": "resnet101"},
    "mobilenet": {
        "backbone": "mobilenet_v2",
        "backbone_options": {"pad_before_expand": True, "pad_stem": False},
    },
}
ARCHITECTURES = {
    f"{name}_{backbone}_os{stride}": f"{title}, {backbone} at output stride {stride}"
    for name, title in TITLES.items()
    for backbone in BACKBONES
    for stride in (16, 8)
}
LOW_LEVEL_CHANNELS, ASPP_CHANNELS = 48, 256
FIRST_HIGH_LEVEL = 4  # MobileNetV2's features 0 to 3 are the low-level ones
CROPS = {19: (768, 768), 21: (513, 513)}


def recognise(tensors: Mapping[str, Tensor]) -> str | None:
    """The architecture whose names these are, at the published output stride.

    Raises:
        InputError: It is one with HRNet or Xception.
    """
    if "classifier.aspp.convs.4.1.weight" in tensors:
        name = "deeplabv3plus"
    elif "classifier.classifier.0.convs.4.1.weight" in tensors:
        name = "deeplabv3"
    else:
        return None
    is_mobilenet = "backbone.high_level_features.17.conv.2.weight" in tensors
    backbone = "mobilenet" if is_mobilenet else resnet_name(tensors, "backbone.")
    if backbone not in BACKBONES:
        raise InputError(
            f"this is VainF's {TITLES[name]} on a backbone other than {', '.join(BACKBONES)} "
            "(HRNet or Xception), which dualseg does not build; import one of these"
        )
    return f"{name}_{backbone}_os16"


def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation:
    """One of `ARCHITECTURES` under our names; separable or not, as the tensors are."""
    name, backbone, stride = arch.split("_")
    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    is_separable = moves.has("classifier.classifier.0.body")
    if backbone == "mobilenet":
        _move_mobilenet(moves)
    else:
        moves.move("backbone", "backbone.body")
    if name == "deeplabv3plus":
        _move_decoder(moves)
        forms = {True: "single_separable", False: "single"}
        head: dict[str, Any] = {"head_variant": forms[is_separable]}
    else:
        _move_aspp(moves, "classifier.classifier.0")
        moves.move("classifier.classifier.1", "head.fuse.0")
        moves.move("classifier.classifier.2", "head.fuse.1")
        moves.move("classifier.classifier.4", "predictor.conv")
        head = {"head_variant": "projected", "head_options": {"dropout": 0.1}}
    weights, dropped = moves.finish()
    num_classes = rows_of(weights, "predictor.conv.weight")
    return Translation(
        architecture={
            "name": name,
            "num_classes": num_classes,
            "output_stride": int(stride.removeprefix("os")),
            **head,
            **BACKBONES[backbone],
        },
        weights=weights,
        source=f"{NAME} {arch}",
        licence=LICENCE,
        dropped=dropped,
        assumed_labels=labels_by_count(num_classes),
        training_size=CROPS.get(num_classes),
    )


def _move_mobilenet(moves: Translator) -> None:
    def feature(index: int) -> str:
        level = "low" if index < FIRST_HIGH_LEVEL else "high"
        return f"backbone.{level}_level_features.{index}"

    move_mobilenet_v2(
        moves,
        feature,
        plain=("0.0", "0.1", "1", "2"),
        expanded=("0.0", "0.1", "1.0", "1.1", "2", "3"),
    )


def _move_aspp(moves: Translator, prefix: str) -> None:
    moves.move(f"{prefix}.convs.4.1", "head.aspp.branches.4.conv")
    moves.move(f"{prefix}.convs.4.2", "head.aspp.branches.4.norm")
    for branch in range(4):
        _move_conv(moves, f"{prefix}.convs.{branch}", f"head.aspp.branches.{branch}")
    moves.move(f"{prefix}.project", "head.aspp.project.0")


def _move_decoder(moves: Translator) -> None:
    _move_aspp(moves, "classifier.aspp")
    moves.move("classifier.project", "head.low_level")
    _move_conv(moves, "classifier.classifier", "head.fuse")
    moves.move("classifier.classifier.3", "predictor.conv")
    for name in ("head.fuse.0.weight", "head.fuse.1.weight"):
        if moves.weights[name].dim() == 4:  # the 3x3; or depthwise and pointwise
            moves.reorder_inputs(name, (LOW_LEVEL_CHANNELS, ASPP_CHANNELS), (1, 0))


def _move_conv(moves: Translator, prefix: str, to: str) -> None:
    """Convolution and batch norm; or depthwise, pointwise and batch norm."""
    if moves.has(f"{prefix}.0.body"):
        moves.move(f"{prefix}.0.body", to)
        moves.move(f"{prefix}.1", f"{to}.2")
    else:
        moves.move(f"{prefix}.0", f"{to}.0")
        moves.move(f"{prefix}.1", f"{to}.1")
