"""sanje2v/DualSuperResLearningForSemSeg: DeepLabV3+ under DSRL; labels at twice the image.

`.weights`, `.checkpoint` and `.cpkt` hold the same state dict. The label branch is imported; the
branches of stages 2 and 3 are dropped. It is built as ours after pruning. Its code has no licence
file and its README restricts it to research; nothing of it was copied.
"""

from collections.abc import Mapping

from torch import Tensor

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.class_tables import labels_by_count
from dualseg.checkpoints.importers.recognition import has_all, rows_of
from dualseg.checkpoints.importers.translation import Translation, Translator

NAME = "sanje2v"
LICENCE = "none given; the README asks for research use"
ARCHITECTURES = {
    "stage1": "DeepLabV3+ under DSRL, ResNet-101 at output stride 16, labels alone",
    "stage2": "the same with image reconstruction",
    "stage3": "the same with feature affinity",
}
MEAN = (0.28690, 0.32513, 0.28389)  # of Cityscapes' training images
STD = (0.17614, 0.18099, 0.17772)
TRAINING_SIZE = (256, 512)


def recognise(tensors: Mapping[str, Tensor]) -> str | None:
    """The stage whose names these are."""
    marks = ("feature_extractor.shortcut_conv.0.weight", "SSSR_decoder.cls_conv.weight")
    if not has_all(tensors, *marks):
        return None
    if "SSSR_feature_transformer.0.weight" in tensors:
        return "stage3"
    return "stage2" if "SISR_decoder.0.weight" in tensors else "stage1"


def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation:
    """Its label branch under our names."""
    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    _move_extractor(moves)
    for ours, theirs in (("0.0", 0), ("0.1", 1), ("2.0", 4), ("2.1", 5)):
        moves.move(f"SSSR_decoder.cat_conv.{theirs}", f"head.fuse.{ours}")
    moves.move("SSSR_decoder.cls_conv", "predictor.predict.0")
    for ours, theirs in ((3, 2), (4, 3), (7, 6)):
        moves.move(f"SSSR_decoder.upsample16_pred.{theirs}", f"predictor.predict.{ours}")
    moves.drop("SISR_decoder", "image reconstruction, for training alone")
    for side in ("SSSR", "SISR"):
        moves.drop(f"{side}_feature_transformer", "feature transform, for training alone")
    weights, dropped = moves.finish()
    num_classes = rows_of(weights, "predictor.predict.0.weight")
    return Translation(
        architecture={
            "name": "deeplabv3plus",
            "num_classes": num_classes,
            "backbone": "resnet101",
            "output_stride": 16,
            "head_variant": "standard",
            "align_corners": True,
            "dsrl": {"sssr": "sanje2v", "inference_only": True},
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


def _move_extractor(moves: Translator) -> None:
    moves.move("feature_extractor.backbone", "backbone.body")
    aspp = "feature_extractor.aspp.branches"
    for branch in range(4):
        moves.move(f"{aspp}.{branch}", f"head.aspp.branches.{branch}")
    moves.move(f"{aspp}.4.0", "head.aspp.branches.4.conv")
    moves.move(f"{aspp}.4.1", "head.aspp.branches.4.norm")
    moves.move(f"{aspp}.5", "head.aspp.project.0")
    moves.move("feature_extractor.shortcut_conv", "head.low_level")
