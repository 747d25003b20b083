"""jfzhang95/pytorch-deeplab-xception: DeepLabV3+ with two full 3x3 convolutions in the decoder.

Its files do not say the output stride; 16 is what was published. Corners are aligned everywhere.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.class_tables import labels_by_count
from dualseg.checkpoints.importers.mobilenet_v2 import move_mobilenet_v2
from dualseg.checkpoints.importers.recognition import has_all, resnet_name, rows_of
from dualseg.checkpoints.importers.translation import Translation, Translator
from dualseg.core.errors import InputError

NAME = "jfzhang"
LICENCE = "MIT (of the code)"
ARCHITECTURES = {
    "resnet_os16": "DeepLabV3+, ResNet-101 with multi-grid 1, 2, 4 at output stride 16",
    "resnet_os8": "DeepLabV3+, ResNet-101 with multi-grid 1, 2, 4 at output stride 8",
    "mobilenet_os16": "DeepLabV3+, MobileNetV2 at output stride 16",
    "mobilenet_os8": "DeepLabV3+, MobileNetV2 at output stride 8",
    "drn_os8": "DeepLabV3+, DRN-D-54 at output stride 8",
}
BACKBONES: dict[str, dict[str, Any]] = {
    "resnet": {"backbone": "resnet101", "first_block": "full", "multi_grid": [1, 2, 4]},
    "mobilenet": {
        "backbone": "mobilenet_v2",
        "first_block": "group",
        "backbone_options": {"pad_before_expand": True},
    },
    "drn": {"backbone": "drn_d_54"},
}
TRAINING_SIZE = (513, 513)


def recognise(tensors: Mapping[str, Tensor]) -> str | None:
    """The architecture whose names these are, at the published output stride.

    Raises:
        InputError: It is the one with Xception.
    """
    head = ("aspp.aspp1.atrous_conv.weight", "decoder.last_conv.8.weight")
    if not has_all(tensors, *head) or "sr_decoder.conv1.weight" in tensors:
        return None
    if "backbone.block20.rep.1.conv1.weight" in tensors:
        raise InputError(
            "this is jfzhang's DeepLabV3+ on Xception, which differs from the one dualseg has "
            "(DeepLab's own: other ReLUs and another low-level feature); import a ResNet, DRN or "
            "MobileNetV2 of that library"
        )
    if "backbone.layer0.0.weight" in tensors:
        return "drn_os8"
    if "backbone.low_level_features.0.0.weight" in tensors:
        return "mobilenet_os16"
    return "resnet_os16" if resnet_name(tensors, "backbone.") == "resnet101" else None


def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation:
    """One of `ARCHITECTURES` under our names."""
    backbone, _, stride = arch.partition("_os")
    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    _move_backbone[backbone](moves)
    move_deeplab(moves)
    moves.move("decoder.last_conv.8", "predictor.conv")
    weights, dropped = moves.finish()
    num_classes = rows_of(weights, "predictor.conv.weight")
    return Translation(
        architecture={
            "name": "deeplabv3plus",
            "num_classes": num_classes,
            "output_stride": int(stride),
            "head_variant": "standard",
            "align_corners": True,
            **BACKBONES[backbone],
        },
        weights=weights,
        source=f"{NAME} {arch}",
        licence=LICENCE,
        dropped=dropped,
        assumed_labels=labels_by_count(num_classes),
        training_size=TRAINING_SIZE,
    )


def move_deeplab(moves: Translator) -> None:
    """Head but for the classifier."""
    for branch in range(4):
        moves.move(f"aspp.aspp{branch + 1}.atrous_conv", f"head.aspp.branches.{branch}.0")
        moves.move(f"aspp.aspp{branch + 1}.bn", f"head.aspp.branches.{branch}.1")
    moves.move("aspp.global_avg_pool.1", "head.aspp.branches.4.conv")
    moves.move("aspp.global_avg_pool.2", "head.aspp.branches.4.norm")
    moves.move("aspp.conv1", "head.aspp.project.0.0")
    moves.move("aspp.bn1", "head.aspp.project.0.1")
    moves.move("decoder.conv1", "head.low_level.0")
    moves.move("decoder.bn1", "head.low_level.1")
    for ours, theirs in (("0.0", 0), ("0.1", 1), ("2.0", 4), ("2.1", 5)):
        moves.move(f"decoder.last_conv.{theirs}", f"head.fuse.{ours}")


def _move_resnet(moves: Translator) -> None:
    moves.move("backbone", "backbone.body")


def _move_mobilenet(moves: Translator) -> None:
    """Every block is stored twice."""
    for part in ("backbone.low_level_features", "backbone.high_level_features"):
        moves.drop_copies(part, of="backbone.features")
    move_mobilenet_v2(
        moves,
        lambda index: f"backbone.features.{index}",
        plain=("0", "1", "3", "4"),
        expanded=("0", "1", "3", "4", "6", "7"),
    )


def _move_drn(moves: Translator) -> None:
    moves.move("backbone", "backbone")


_move_backbone = {"resnet": _move_resnet, "mobilenet": _move_mobilenet, "drn": _move_drn}
