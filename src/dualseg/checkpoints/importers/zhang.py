"""Hang Zhang's lineage: PyTorch-Encoding, FastFCN (with and without JPU) and the authors' DANet.

Their ResNets are called `pretrained` and have a deep, wide stem ("s"), or with `--no-deepstem` the
7x7 one. Without JPU the output stride is 8, which no file says. Corners are aligned everywhere.
Not covered: JPU_X, ResNet-D, ResNeSt.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.class_tables import labels_by_count
from dualseg.checkpoints.importers.recognition import resnet_name, rows_of
from dualseg.checkpoints.importers.translation import Translation, Translator
from dualseg.core.errors import InputError

NAME = "zhang"
LICENCE = "MIT (of the code)"
BACKBONES = ("resnet50", "resnet101")
MULTI_GRID = [2, 2, 4]  # times the blocks' own dilations 2, 4, 4: DANet's --multi-dilation 4 8 16
JPU_WIDTH = 512


class Family(NamedTuple):
    """One network.

    Attributes:
        title: For the list of architectures.
        mark: A tensor only this one has.
        forms: Suffixes of its architectures.
        move: Moves head and classifier.
        options: Of `create_model`.
    """

    title: str
    mark: str
    forms: tuple[str, ...]
    move: Callable[[Translator], None]
    options: dict[str, Any]


def _move_fcn(moves: Translator) -> None:
    moves.move("head.conv5.0", "head.conv.0")
    moves.move("head.conv5.1", "head.conv.1")
    moves.move("head.conv5.4", "predictor.conv")


def _move_psp(moves: Translator) -> None:
    for level in range(4):
        moves.move(f"head.conv5.0.conv{level + 1}", f"head.levels.{level}")
    moves.move("head.conv5.1", "head.fuse.0")
    moves.move("head.conv5.2", "head.fuse.1")
    moves.move("head.conv5.5", "predictor.conv")


def _move_deeplab(moves: Translator) -> None:
    for branch in range(4):
        moves.move(f"head.aspp.b{branch}", f"head.aspp.branches.{branch}")
    moves.move("head.aspp.b4.gap.1", "head.aspp.branches.4.conv")
    moves.move("head.aspp.b4.gap.2", "head.aspp.branches.4.norm")
    moves.move("head.aspp.project", "head.aspp.project.0")
    moves.move("head.block.0", "head.fuse.0")
    moves.move("head.block.1", "head.fuse.1")
    moves.move("head.block.4", "predictor.conv")


def _move_danet(moves: Translator) -> None:
    """Our attentions are named after what they attend to; each branch has a classifier."""
    branches = (("position", "conv5a", "sa", "conv51"), ("channel", "conv5c", "sc", "conv52"))
    for name, before, attention, after in branches:
        moves.move(f"head.{before}", f"head.{name}_in")
        moves.move(f"head.{attention}.gamma", f"head.{name}.gamma")
        moves.reshape(f"head.{name}.gamma", ())
        moves.move(f"head.{after}", f"head.{name}_out")
    for part in ("query", "key", "value"):
        moves.move(f"head.sa.{part}_conv", f"head.position.{part}")
    moves.move("head.conv6.1", "auxiliary_heads.0.classifier.conv")
    moves.move("head.conv7.1", "auxiliary_heads.1.classifier.conv")
    moves.move("head.conv8.1", "predictor.conv")


def _move_encnet(moves: Translator) -> None:
    moves.move("head.conv5", "head.reduce")
    if moves.has("head.fusion"):
        moves.move("head.connect", "head.laterals")
        moves.move("head.fusion", "head.fuse")
    for theirs, ours in (("encoding.0", "project.0"), ("encoding.1", "project.1")):
        moves.move(f"head.encmodule.{theirs}", f"head.{ours}")
    moves.move("head.encmodule.encoding.3.codewords", "head.encoding.codewords")
    moves.move("head.encmodule.encoding.3.scale", "head.encoding.smoothing")
    moves.move("head.encmodule.encoding.4", "head.norm")
    moves.move("head.encmodule.fc.0", "head.gate")
    moves.drop("head.encmodule.selayer", "classifies whole images, for training alone")
    moves.move("head.conv6.1", "predictor.conv")


FAMILIES = {
    "fcn": Family(
        "FCN, one convolution",
        "head.conv5.4.weight",
        ("", "_jpu"),
        _move_fcn,
        {"name": "fcn", "head_variant": "single"},
    ),
    "psp": Family(
        "PSPNet",
        "head.conv5.0.conv1.0.weight",
        ("", "_jpu"),
        _move_psp,
        {"name": "pspnet", "head_variant": "standard"},
    ),
    "deeplabv3": Family(
        "DeepLabV3, rates 12, 24, 36",
        "head.aspp.b4.gap.1.weight",
        ("", "_jpu"),
        _move_deeplab,
        {"name": "deeplabv3", "head_variant": "projected", "atrous_rates": [12, 24, 36]},
    ),
    "encnet": Family(
        "EncNet",
        "head.encmodule.encoding.3.codewords",
        ("", "_lateral", "_jpu"),
        _move_encnet,
        {"name": "encnet"},
    ),
    "danet": Family(
        "DANet",
        "head.sa.gamma",
        ("", "_multigrid"),
        _move_danet,
        {"name": "danet", "auxiliary": True},
    ),
}
NOT_COVERED = {
    "jpu.jum_1.conv_l.0.weight": "JPU_X",
    "pretrained.layer1.0.downsample.2.weight": "a ResNet-D, dilated otherwise than timm's",
    "pretrained.layer1.0.conv2.fc1.weight": "a ResNeSt",
}
FORMS = {
    "": " at output stride 8",
    "_jpu": " at output stride 32 with JPU",
    "_lateral": " at output stride 8 with lateral connections",
    "_multigrid": " at output stride 8, last stage dilated 4, 8, 16",
}
ARCHITECTURES = {
    f"{name}_{backbone}{form}": f"{family.title}, {backbone}{FORMS[form]}"
    for name, family in FAMILIES.items()
    for backbone in BACKBONES
    for form in family.forms
}


def recognise(tensors: Mapping[str, Tensor]) -> str | None:
    """The architecture whose names these are.

    Raises:
        InputError: It is one of the lineage that dualseg does not build.
    """
    backbone = resnet_name(tensors, "pretrained.")
    names = [name for name, family in FAMILIES.items() if family.mark in tensors]
    if backbone not in BACKBONES or len(names) != 1:
        return None
    for mark, what in NOT_COVERED.items():
        if mark in tensors:
            raise InputError(
                f"this is a network of Hang Zhang's lineage with {what}, which dualseg "
                "does not build; import one without it"
            )
    arch = f"{names[0]}_{backbone}{_form(names[0], tensors)}"
    return arch if arch in ARCHITECTURES else None


def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation:
    """One of `ARCHITECTURES` under our names; the auxiliary head is kept where there is one."""
    name, backbone, *form = arch.split("_")
    family = FAMILIES[name]
    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    has_deep_stem = moves.has("pretrained.conv1.6")
    has_auxiliary = moves.has("auxlayer")
    moves.drop("pretrained.fc", "the classifier of ImageNet")
    moves.move("pretrained", "backbone.body")
    if "jpu" in form:
        _move_jpu(moves)
    family.move(moves)
    if has_auxiliary:
        moves.move("auxlayer.conv5.0", "auxiliary_heads.0.head.conv.0")
        moves.move("auxlayer.conv5.1", "auxiliary_heads.0.head.conv.1")
        moves.move("auxlayer.conv5.4", "auxiliary_heads.0.classifier.conv")
    weights, dropped = moves.finish()
    num_classes = rows_of(weights, "predictor.conv.weight")
    return Translation(
        architecture={
            "num_classes": num_classes,
            "backbone": backbone,
            "output_stride": 32 if "jpu" in form else 8,
            "stem": "s" if has_deep_stem else "b",
            "multi_grid": MULTI_GRID if "multigrid" in form else None,
            "neck": "jpu" if "jpu" in form else None,
            "head_options": _head_options(name, form),
            "align_corners": True,
            "auxiliary": has_auxiliary,
            **family.options,
        },
        weights=weights,
        source=f"{NAME} {arch}",
        licence=LICENCE,
        dropped=dropped,
        assumed_labels=labels_by_count(num_classes),
    )


def _form(name: str, tensors: Mapping[str, Tensor]) -> str:
    """Key of `FORMS`."""
    if "jpu.conv5.0.weight" in tensors:
        return "_jpu"
    if "head.fusion.0.weight" in tensors:
        return "_lateral"
    # The published DANet was trained with --no-deepstem and --multi-grid.
    return "_multigrid" if name == "danet" and "pretrained.conv1.weight" in tensors else ""


def _head_options(name: str, form: Sequence[str]) -> dict[str, Any]:
    """EncNet's first convolution is a 1x1 behind JPU."""
    if name != "encnet":
        return {}
    return {"kernel_size": 1 if "jpu" in form else 3, "lateral": "lateral" in form}


def _move_jpu(moves: Translator) -> None:
    """FastFCN joins coarse to fine, we fine to coarse."""
    for level, theirs in enumerate((3, 4, 5)):
        moves.move(f"jpu.conv{theirs}", f"neck.reduce.{level}")
    for branch in range(4):
        to = f"neck.dilated.{branch}"
        moves.move(f"jpu.dilation{branch + 1}.0.conv1", f"{to}.0")
        moves.move(f"jpu.dilation{branch + 1}.0.bn", f"{to}.1")
        moves.move(f"jpu.dilation{branch + 1}.0.pointwise", f"{to}.2")
        moves.move(f"jpu.dilation{branch + 1}.1", f"{to}.3")
        for part in (0, 1, 2):
            moves.reorder_all(f"{to}.{part}", (JPU_WIDTH,) * 3, (2, 1, 0))
