"""ResNet-101 of CCNet and OCNet: in-place activated batch norms, three stem convolutions by number.

In-place activated batch norms apply the absolute value of their scale. Both repositories dilate
every block of a stage alike, pool with sizes rounded up and classify layer 3 for training (`dsn`).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dualseg.checkpoints.importers.recognition import resnet_name
from dualseg.checkpoints.importers.translation import Translator

EPS = 1e-5  # added to the absolute value
STEM = (("conv1", 0), ("bn1", 1), ("conv2", 3), ("bn2", 4), ("conv3", 6))
STAGES = ("layer1", "layer2", "layer3", "layer4")
AUXILIARY_CHANNELS = 512
BACKBONE: dict[str, Any] = {
    "backbone": "resnet101",
    "output_stride": 8,
    "stem": "s",
    "first_block": "full",
    "backbone_options": {"ceil_pool": True},
}


def is_backbone(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors at the top are those of this ResNet-101."""
    return "conv3.weight" in tensors and resnet_name(tensors, "") == "resnet101"


def move_backbone(moves: Translator) -> None:
    """Stem and stages."""
    for name, index in STEM:
        moves.move(name, f"backbone.body.conv1.{index}")
    moves.move("bn3", "backbone.body.bn1")
    for stage in STAGES:
        moves.move(stage, f"backbone.body.{stage}")


def move_auxiliary(moves: Translator) -> None:
    """The classifier of layer 3; its convolution has a bias before the batch norm."""
    moves.move("dsn.0", "auxiliary_heads.0.head.conv.0")
    moves.move("dsn.1", "auxiliary_heads.0.head.conv.1")
    moves.move("dsn.3", "auxiliary_heads.0.classifier.conv")
    moves.fold_bias("auxiliary_heads.0.head.conv.0", "auxiliary_heads.0.head.conv.1")


def auxiliary_options(*, has_auxiliary: bool, activation: str) -> dict[str, Any]:
    """Arguments of `create_model` for that classifier."""
    if not has_auxiliary:
        return {"auxiliary": False}
    return {
        "auxiliary": True,
        "auxiliary_channels": AUXILIARY_CHANNELS,
        "auxiliary_activation": activation,
    }
