"""mmsegmentation's backbones under our names: ResNet, ResNetV1c and MobileNetV2."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from dualseg.checkpoints.importers.mmseg_layout import Layout
from dualseg.checkpoints.importers.mobilenet_v2 import BLOCKS, EXPANDED, PLAIN
from dualseg.checkpoints.importers.recognition import count_blocks, resnet_name
from dualseg.checkpoints.importers.translation import Translator

PLACES = ("backbone.context_path.backbone", "backbone")  # BiSeNet's is inside its context path
DEEP_STEM = ((0, "conv1.0"), (1, "conv1.1"), (3, "conv1.3"), (4, "conv1.4"), (6, "conv1.6"))
BOTTLENECK = "conv2"
WIDE_STEM = 64  # channels of the first convolution of stem "s"
MOBILENET = "m-v2"
LAST_MOBILENET_BLOCK = "layer7.0.conv.2.conv.weight"


class Backbone(NamedTuple):
    """What the tensors tell.

    Attributes:
        short: As file names have it: `r50`, `m-v2`.
        name: Ours.
        place: What its tensors stand under.
        stem: "b", "c" or "s"; None where there is one form.
        blocks: In each stage.
        stages: Their names, ours.
        conv: Name of the convolution of a block that may be dilated, ours.
    """

    short: str
    name: str
    place: str
    stem: str | None
    blocks: tuple[int, ...]
    stages: tuple[str, ...]
    conv: str


def find_backbone(tensors: Mapping[str, Tensor]) -> Backbone | None:
    """The backbone whose tensors these are; None if it is none of those covered."""
    for place in PLACES:
        name = resnet_name(tensors, f"{place}.")
        if name is not None:
            return Backbone(
                short=name.replace("resnet", "r"),
                name=name,
                place=place,
                stem=_stem(tensors, place),
                blocks=tuple(count_blocks(tensors, f"{place}.")),
                stages=tuple(f"layer{stage}" for stage in range(1, 5)),
                conv=BOTTLENECK if f"{place}.layer1.0.conv3.weight" in tensors else "conv1",
            )
    if f"backbone.{LAST_MOBILENET_BLOCK}" in tensors:
        stages = tuple(f"blocks.{stage}" for stage in range(len(BLOCKS)))
        return Backbone(
            MOBILENET, "mobilenet_v2", "backbone", None, BLOCKS, stages=stages, conv="conv_dw"
        )
    return None


def _stem(tensors: Mapping[str, Tensor], place: str) -> str:
    first = tensors.get(f"{place}.stem.0.weight")
    if first is None:
        return "b"
    return "s" if first.shape[0] == WIDE_STEM else "c"


def move_backbone(moves: Translator, backbone: Backbone) -> None:
    """Moves it below `backbone.body`, and BiSeNet's below the body of the backbone with a path."""
    to = "backbone.body.body" if backbone.place == PLACES[0] else "backbone.body"
    if backbone.short == MOBILENET:
        _move_mobilenet(moves, backbone.place, to)
        return
    if backbone.stem != "b":
        for index, name in DEEP_STEM:
            moves.move(f"{backbone.place}.stem.{index}", f"{to}.{name}")
        moves.move(f"{backbone.place}.stem.7", f"{to}.bn1")
    else:
        moves.move(f"{backbone.place}.conv1", f"{to}.conv1")
        moves.move(f"{backbone.place}.bn1", f"{to}.bn1")
    for stage in range(1, 5):
        moves.move(f"{backbone.place}.layer{stage}", f"{to}.layer{stage}")


def backbone_options(backbone: Backbone, layout: Layout) -> dict[str, Any]:
    """Every dilation, where they are not what our rule "contract" makes of the strides.

    One 3x3 of each block is dilated: the first of two, or the one of a bottleneck.
    """
    if backbone.conv == BOTTLENECK and layout.dilations == _contracted(backbone, layout):
        return {}
    return {
        "dilations": {
            f"{backbone.stages[stage]}.{block}.{backbone.conv}": dilation
            for stage, blocks in enumerate(layout.dilations)
            for block, dilation in enumerate(blocks)
            if dilation > 1
        }
    }


def _contracted(backbone: Backbone, layout: Layout) -> tuple[tuple[int, ...], ...]:
    stages = []
    for stride, count in zip((4, 8, 16, 32), backbone.blocks, strict=True):
        dilation = max(1, stride // layout.output_stride)
        stages.append((max(1, dilation // 2), *(dilation,) * (count - 1)))
    return tuple(stages)


def _move_mobilenet(moves: Translator, place: str, to: str) -> None:
    moves.move(f"{place}.conv1.conv", f"{to}.conv_stem")
    moves.move(f"{place}.conv1.bn", f"{to}.bn1")
    for stage, count in enumerate(BLOCKS):
        names = PLAIN if stage == 0 else EXPANDED  # convolution and batch norm in turn
        for block in range(count):
            for index, name in enumerate(names):
                kind = "bn" if index % 2 else "conv"
                theirs = f"{place}.layer{stage + 1}.{block}.conv.{index // 2}.{kind}"
                moves.move(theirs, f"{to}.blocks.{stage}.{block}.{name}")
