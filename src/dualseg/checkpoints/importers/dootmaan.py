"""Dootmaan/DSRL: jfzhang's DeepLabV3+ under DSRL; labels at twice the image.

The label branch is imported; the image branch and the transform of its loss, which no optimiser
ever updated there, are dropped. It is built as ours after pruning.
"""

from collections.abc import Mapping

from torch import Tensor

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.class_tables import labels_by_count
from dualseg.checkpoints.importers.jfzhang import move_deeplab
from dualseg.checkpoints.importers.recognition import has_all, resnet_name, rows_of
from dualseg.checkpoints.importers.translation import Translation, Translator

NAME = "dootmaan"
LICENCE = "MIT (of the code)"
ARCHITECTURES = {
    "resnet_os16": "DeepLabV3+ under DSRL, ResNet-101 with multi-grid 1, 2, 4 at output stride 16"
}
TRAINING_SIZE = (512, 512)
IMAGE_BRANCH = "image reconstruction, for training alone"


def recognise(tensors: Mapping[str, Tensor]) -> str | None:
    """The architecture whose names these are."""
    marks = ("sr_decoder.conv1.weight", "aspp.aspp1.atrous_conv.weight", "pointwise.0.weight")
    is_known = has_all(tensors, *marks) and resnet_name(tensors, "backbone.") == "resnet101"
    return "resnet_os16" if is_known else None


def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation:
    """Its label branch under our names."""
    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    moves.move("backbone", "backbone.body")
    move_deeplab(moves)
    moves.move("decoder.last_conv.8", "predictor.predict")
    moves.drop("sr_decoder", IMAGE_BRANCH)
    for step in (1, 2, 3):
        moves.drop(f"up_sr_{step}", IMAGE_BRANCH)
        moves.drop(f"up_edsr_{step}", IMAGE_BRANCH)
    moves.drop("up_conv_last", IMAGE_BRANCH)
    moves.drop("pointwise", "feature transform, for training alone")
    weights, dropped = moves.finish()
    num_classes = rows_of(weights, "predictor.predict.weight")
    return Translation(
        architecture={
            "name": "deeplabv3plus",
            "num_classes": num_classes,
            "backbone": "resnet101",
            "output_stride": 16,
            "first_block": "full",
            "multi_grid": [1, 2, 4],
            "head_variant": "standard",
            "align_corners": True,
            "dsrl": {"sssr": "dootmaan", "inference_only": True},
        },
        weights=weights,
        source=f"{NAME} {arch}",
        licence=LICENCE,
        dropped=dropped,
        assumed_labels=labels_by_count(num_classes),
        training_size=TRAINING_SIZE,
    )
