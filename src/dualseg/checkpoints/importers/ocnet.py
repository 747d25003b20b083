"""openseg-group/OCNet.pytorch: object context on a ResNet-101, in three forms.

Images are read red first, 0 to 255, and three numbers are subtracted that elsewhere are the means
of blue, green and red. Corners are aligned when logits are enlarged.
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

NAME = "ocnet"
LICENCE = "MIT (of the code)"
ARCHITECTURES = {
    "base": "OCNet base, ResNet-101 at output stride 8",
    "pyramid": "OCNet pyramid, ResNet-101 at output stride 8",
    "asp": "OCNet ASP, ResNet-101 at output stride 8",
}
MARKS = {
    "base": "context.2.stages.0.f_value.weight",
    "pyramid": "context.up_dr.0.weight",
    "asp": "context.2.context.0.weight",
}
ACTIVATION = "leaky_relu"
# Behind the convolution of layer 3; the pyramid's file has batch norm alone.
AUXILIARY_ACTIVATION = {"base": ACTIVATION, "pyramid": "none", "asp": ACTIVATION}
MEAN = (102.9801 / 255, 115.9465 / 255, 122.7717 / 255)
STD = (1 / 255, 1 / 255, 1 / 255)
TRAINING_SIZE = (769, 769)


def recognise(tensors: Mapping[str, Tensor]) -> str | None:
    """The form whose names these are."""
    forms = [form for form, mark in MARKS.items() if mark in tensors]
    return forms[0] if len(forms) == 1 and is_backbone(tensors) else None


def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation:
    """One of `ARCHITECTURES` under our names; the auxiliary head is kept where there is one."""
    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    has_auxiliary = moves.has("dsn")
    move_backbone(moves)
    _move_context[arch](moves)
    moves.move("cls", "predictor.conv")
    if has_auxiliary:
        move_auxiliary(moves)
    moves.make_scales_positive("", eps=EPS)
    weights, dropped = moves.finish()
    num_classes = rows_of(weights, "predictor.conv.weight")
    return Translation(
        architecture={
            "name": "ocnet",
            "num_classes": num_classes,
            **BACKBONE,
            "head_variant": arch,
            "head_options": {"activation": ACTIVATION},
            "align_corners": True,
            **auxiliary_options(has_auxiliary=has_auxiliary, activation=AUXILIARY_ACTIVATION[arch]),
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


def _move_base(moves: Translator) -> None:
    _move_conv(moves, "context", "head.reduce")
    _move_attention(moves, "context.2.stages.0", "head.context.attention")
    _move_conv(moves, "context.2.conv_bn_dropout", "head.context.fuse")


def _move_pyramid(moves: Translator) -> None:
    _move_conv(moves, "layer5", "head.reduce")
    for grid in range(4):
        _move_attention(moves, f"context.stages.{grid}", f"head.context.attentions.{grid}")
    _move_conv(moves, "context.up_dr", "head.context.widen")
    _move_conv(moves, "context.conv_bn_dropout", "head.context.fuse")


def _move_asp(moves: Translator) -> None:
    _move_conv(moves, "context", "head.reduce")
    _move_conv(moves, "context.2.context", "head.context.reduce")
    _move_attention(moves, "context.2.context.2.stages.0", "head.context.attention")
    _move_conv(moves, "context.2.context.2.conv_bn_dropout", "head.context.project")
    for branch in range(4):
        _move_conv(moves, f"context.2.conv{branch + 2}", f"head.context.branches.{branch}")
    _move_conv(moves, "context.2.conv_bn_dropout", "head.context.fuse")


def _move_conv(moves: Translator, prefix: str, to: str) -> None:
    """Convolution and batch norm; a bias between them goes into the latter's mean."""
    moves.move(f"{prefix}.0", f"{to}.0")
    moves.move(f"{prefix}.1", f"{to}.1")
    if f"{to}.0.bias" in moves.weights:
        moves.fold_bias(f"{to}.0", f"{to}.1")


def _move_attention(moves: Translator, prefix: str, to: str) -> None:
    """Queries are the keys, stored once more; the last 1x1 convolution is our linear layer."""
    moves.drop_copies(f"{prefix}.f_query", of=f"{prefix}.f_key")
    _move_conv(moves, f"{prefix}.f_key", f"{to}.key")
    moves.move(f"{prefix}.f_value", f"{to}.value")
    moves.move(f"{prefix}.W", f"{to}.output")
    moves.reshape(f"{to}.output.weight", moves.weights[f"{to}.output.weight"].shape[:2])


_move_context = {"base": _move_base, "pyramid": _move_pyramid, "asp": _move_asp}
