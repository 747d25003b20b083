"""torchvision's segmentation models: FCN, DeepLabV3 and LR-ASPP.

Their weights (COCO, the 20 classes of VOC and a background) are state dicts without any note, so
the network is told by its tensors' names and shapes; rates and strides are the library's own.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.class_tables import voc_labels
from dualseg.checkpoints.importers.recognition import has_all, resnet_name, rows_of
from dualseg.checkpoints.importers.translation import Translation, Translator

NAME = "torchvision"
LICENCE = "BSD-3-Clause"
ARCHITECTURES = {
    "fcn_resnet50": "FCN, one convolution, ResNet-50 at output stride 8",
    "fcn_resnet101": "FCN, one convolution, ResNet-101 at output stride 8",
    "deeplabv3_resnet50": "DeepLabV3, rates 12, 24, 36, ResNet-50 at output stride 8",
    "deeplabv3_resnet101": "DeepLabV3, rates 12, 24, 36, ResNet-101 at output stride 8",
    "deeplabv3_mobilenet_v3_large": "DeepLabV3, rates 12, 24, 36, MobileNetV3 at output stride 16",
    "lraspp_mobilenet_v3_large": "LR-ASPP, MobileNetV3 at output stride 16",
}
PUBLISHED_CLASSES = 21
# With 21 classes; with the auxiliary head, and without it.
PARAMETERS = {
    "fcn_resnet50": (35_322_218, 32_957_013),
    "fcn_resnet101": (54_314_346, 51_949_141),
    "deeplabv3_resnet50": (42_004_074, 39_638_869),
    "deeplabv3_resnet101": (60_996_202, 58_630_997),
    "deeplabv3_mobilenet_v3_large": (11_029_328, 11_025_477),
    "lraspp_mobilenet_v3_large": (3_221_517, 3_221_517),  # 3 221 538 less one of two added biases
}
ATROUS_RATES = [12, 24, 36]
LAST_BLOCK = "backbone.16.0.weight"  # of MobileNetV3-Large


def recognise(tensors: Mapping[str, Tensor]) -> str | None:
    """The architecture whose names these are."""
    backbone = _backbone(tensors)
    if backbone is None:
        return None
    if has_all(tensors, "classifier.cbr.0.weight", "classifier.low_classifier.weight"):
        name = "lraspp"
    elif has_all(tensors, "classifier.0.convs.4.1.weight", "classifier.4.weight"):
        name = "deeplabv3"
    elif has_all(tensors, "classifier.0.weight", "classifier.4.weight"):
        name = "fcn"
    else:
        return None
    arch = f"{name}_{backbone}"
    return arch if arch in ARCHITECTURES else None


def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation:
    """One of `ARCHITECTURES` under our names; the auxiliary head is kept where there is one."""
    name, _, backbone = arch.partition("_")
    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    has_auxiliary = moves.has("aux_classifier")
    moves.move("backbone", "backbone.body")
    _move_head[name](moves)
    if has_auxiliary:
        moves.move_matching(r"aux_classifier\.([01])\.(.+)", r"auxiliary_heads.0.head.conv.\1.\2")
        moves.move("aux_classifier.4", "auxiliary_heads.0.classifier.conv")
    weights, dropped = moves.finish()
    num_classes = rows_of(weights, "predictor.conv.weight")
    architecture: dict[str, Any] = {
        "name": name,
        "backbone": backbone,
        "output_stride": 8 if backbone.startswith("resnet") else 16,
        "num_classes": num_classes,
        "auxiliary": has_auxiliary,
    }
    if name == "deeplabv3":
        architecture |= {"atrous_rates": ATROUS_RATES, "head_variant": "projected"}
    if name == "fcn":
        architecture |= {"head_variant": "single"}
    published = num_classes == PUBLISHED_CLASSES
    return Translation(
        architecture=architecture,
        weights=weights,
        source=f"{NAME} {arch}",
        licence=LICENCE,
        dropped=dropped,
        assumed_labels=voc_labels() if published else None,
        parameters=PARAMETERS[arch][0 if has_auxiliary else 1] if published else None,
    )


def _backbone(tensors: Mapping[str, Tensor]) -> str | None:
    if LAST_BLOCK in tensors and rows_of(tensors, LAST_BLOCK) == 960:
        return "mobilenet_v3_large"
    has_stem = "backbone.conv1.weight" in tensors
    return resnet_name(tensors, "backbone.") if has_stem else None


def _move_fcn(moves: Translator) -> None:
    moves.move("classifier.0", "head.conv.0")
    moves.move("classifier.1", "head.conv.1")
    moves.move("classifier.4", "predictor.conv")


def _move_deeplabv3(moves: Translator) -> None:
    moves.move("classifier.0.convs.4.1", "head.aspp.branches.4.conv")
    moves.move("classifier.0.convs.4.2", "head.aspp.branches.4.norm")
    moves.move("classifier.0.convs", "head.aspp.branches")
    moves.move("classifier.0.project", "head.aspp.project.0")
    moves.move("classifier.1", "head.fuse.0")
    moves.move("classifier.2", "head.fuse.1")
    moves.move("classifier.4", "predictor.conv")


def _move_lraspp(moves: Translator) -> None:
    """Two classifiers whose scores are added are one on both maps side by side."""
    moves.move("classifier.cbr", "head.narrow")
    moves.move("classifier.scale.1", "head.gate")
    classifiers = ("classifier.high_classifier", "classifier.low_classifier")
    weights = [moves.take(f"{name}.weight") for name in classifiers]
    biases = [moves.take(f"{name}.bias") for name in classifiers]
    moves.put("predictor.conv.weight", torch.cat(weights, dim=1))
    moves.put("predictor.conv.bias", sum(biases[1:], biases[0]))


_move_head = {"fcn": _move_fcn, "deeplabv3": _move_deeplabv3, "lraspp": _move_lraspp}
