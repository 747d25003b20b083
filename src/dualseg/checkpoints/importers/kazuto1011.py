"""kazuto1011/deeplab-pytorch: DeepLab v2 on ResNet-101 of the Caffe kind, maximum of three scales.

Images are read blue first, 0 to 255, and only the mean is subtracted. Its "DeepLab v1", a container
for initial weights, and its v3 and v3+ on several scales, which were never published, are not
covered.
"""

from collections.abc import Mapping

from torch import Tensor

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.class_tables import labels_by_count
from dualseg.checkpoints.importers.recognition import has_all, rows_of
from dualseg.checkpoints.importers.translation import Translation, Translator

NAME = "kazuto1011"
LICENCE = "MIT (of the code)"
ARCHITECTURES = {
    "deeplabv2_resnet101": "DeepLab v2, rates 6, 12, 18, 24, ResNet-101 at output stride 8",
    "deeplabv2s_resnet101": "DeepLab v2, rates 3, 6, 9, 12, ResNet-101 at output stride 8",
}
RATES = {"deeplabv2": [6, 12, 18, 24], "deeplabv2s": [3, 6, 9, 12]}
BLOCKS = (3, 4, 23, 3)
CONVOLUTIONS = {
    "reduce": ("conv1", "bn1"),
    "conv3x3": ("conv2", "bn2"),
    "increase": ("conv3", "bn3"),
    "shortcut": ("downsample.0", "downsample.1"),
}
MEAN = (122.675 / 255, 116.669 / 255, 104.008 / 255)
STD = (1 / 255, 1 / 255, 1 / 255)
TRAINING_SIZE = (321, 321)


def recognise(tensors: Mapping[str, Tensor]) -> str | None:
    """DeepLab v2 with the paper's large rates, if these are its names."""
    prefix = _prefix(tensors)
    marks = ("layer5.block3.increase.bn.weight", "aspp.c3.weight")
    return "deeplabv2_resnet101" if has_all(tensors, *(prefix + mark for mark in marks)) else None


def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation:
    """One of `ARCHITECTURES` under our names."""
    prefix = _prefix(checkpoint.tensors)
    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    body = "backbone.body.body"
    moves.move(f"{prefix}layer1.conv1.conv", f"{body}.conv1")
    moves.move(f"{prefix}layer1.conv1.bn", f"{body}.bn1")
    for stage, count in enumerate(BLOCKS, start=1):
        for block in range(count):
            theirs = f"{prefix}layer{stage + 1}.block{block + 1}"
            _move_block(moves, theirs, f"{body}.layer{stage}.{block}")
    for branch in range(4):
        moves.move(f"{prefix}aspp.c{branch}", f"head.head.branches.{branch}")
    moves.flip_input_channels(f"{body}.conv1")
    weights, dropped = moves.finish()
    num_classes = rows_of(weights, "head.head.branches.0.weight")
    return Translation(
        architecture={
            "name": "deeplabv2",
            "num_classes": num_classes,
            "backbone": "resnet101",
            "output_stride": 8,
            "first_block": "full",
            "backbone_options": {"ceil_pool": True, "stride_on": "1x1"},
            "head_variant": "multi_scale",
            "atrous_rates": RATES[arch.partition("_")[0]],
            "auxiliary": True,
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


def _prefix(tensors: Mapping[str, Tensor]) -> str:
    """The part around all scales, unless a reader has taken it away."""
    return "base." if "base.layer1.conv1.conv.weight" in tensors else ""


def _move_block(moves: Translator, prefix: str, to: str) -> None:
    for name, (conv, norm) in CONVOLUTIONS.items():
        if moves.has(f"{prefix}.{name}"):
            moves.move(f"{prefix}.{name}.conv", f"{to}.{conv}")
            moves.move(f"{prefix}.{name}.bn", f"{to}.{norm}")
