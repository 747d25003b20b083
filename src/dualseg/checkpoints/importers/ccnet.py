"""speedinghzl/CCNet: recurrent criss-cross attention on a ResNet-101.

Images are read blue first, 0 to 255, and only the mean is subtracted. How often the attention is
applied stands in no file; two is the paper's. Corners are aligned when logits are enlarged.
"""

from collections.abc import Mapping

from torch import Tensor

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.class_tables import labels_by_count
from dualseg.checkpoints.importers.in_place_abn import (
    BACKBONE,
    EPS,
    auxiliary_options,
    is_backbone,
    move_auxiliary,
    move_backbone,
)
from dualseg.checkpoints.importers.recognition import rows_of
from dualseg.checkpoints.importers.translation import Translation, Translator

NAME = "ccnet"
LICENCE = "MIT (of the code)"
ARCHITECTURES = {
    "resnet101_r2": "CCNet, ResNet-101 at output stride 8, attention applied twice",
    "resnet101_r1": "CCNet, ResNet-101 at output stride 8, attention applied once",
}
# Theirs, in the names of 2018 too -> ours.
HEAD = {
    "head.conva": "head.reduce",
    "head.conv1a": "head.reduce",
    "head.convb": "head.refine",
    "head.conv1b": "head.refine",
}
ATTENTION = ("head.cca", "head.pc")
MEAN = (122.67891434 / 255, 116.66876762 / 255, 104.00698793 / 255)
STD = (1 / 255, 1 / 255, 1 / 255)
TRAINING_SIZE = (769, 769)


def recognise(tensors: Mapping[str, Tensor]) -> str | None:
    """CCNet with its paper's two rounds, if these are its names."""
    attention = any(f"{name}.query_conv.weight" in tensors for name in ATTENTION)
    is_known = attention and "head.bottleneck.3.weight" in tensors and is_backbone(tensors)
    return "resnet101_r2" if is_known else None


def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation:
    """One of `ARCHITECTURES` under our names; the auxiliary head is kept where there is one."""
    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    has_auxiliary = moves.has("dsn")
    move_backbone(moves)
    _move_head(moves)
    if has_auxiliary:
        move_auxiliary(moves)
    moves.drop("criterion", "part of the loss")
    moves.make_scales_positive("", eps=EPS)
    moves.flip_input_channels("backbone.body.conv1.0")
    weights, dropped = moves.finish()
    num_classes = rows_of(weights, "predictor.conv.weight")
    return Translation(
        architecture={
            "name": "ccnet",
            "num_classes": num_classes,
            **BACKBONE,
            "head_options": {"recurrence": int(arch[-1]), "activation": "leaky_relu"},
            "align_corners": True,
            **auxiliary_options(has_auxiliary=has_auxiliary, activation="leaky_relu"),
        },
        weights=weights,
        source=f"{NAME} {arch}",
        licence=LICENCE,
        dropped=dropped,
        assumed_labels=labels_by_count(num_classes),
        mean=MEAN,
        std=STD,
        training_size=TRAINING_SIZE,
    )


def _move_head(moves: Translator) -> None:
    for theirs, ours in HEAD.items():
        if moves.has(theirs):
            moves.move(theirs, ours)
    for theirs in ATTENTION:
        if moves.has(theirs):
            moves.move(f"{theirs}.gamma", "head.attention.gamma")
            for part in ("query", "key", "value"):
                moves.move(f"{theirs}.{part}_conv", f"head.attention.{part}")
    moves.reshape("head.attention.gamma", ())
    moves.move("head.bottleneck.0", "head.fuse.0")
    moves.move("head.bottleneck.1", "head.fuse.1")
    moves.move("head.bottleneck.3", "predictor.conv")
