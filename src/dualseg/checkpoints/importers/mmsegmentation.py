"""mmsegmentation 0.x and 1.x: FCN, PSPNet, DeepLab v3, v3+, DANet, CCNet, EncNet, BiSeNet, FastFCN.

The tensors tell head, backbone, stem, widths and classes. Output stride, dilations, pooling grids
and whether corners are aligned stand in the config that its files carry, or follow from the name
of a published file; where neither is there, `--arch` must say it.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.class_tables import (
    cityscapes_labels,
    named_labels,
    voc_labels,
)
from dualseg.checkpoints.importers.mmseg_archs import (
    FASTFCN,
    HEAD_OF,
    base_of,
    list_architectures,
    tell,
)
from dualseg.checkpoints.importers.mmseg_backbones import (
    Backbone,
    backbone_options,
    find_backbone,
    move_backbone,
)
from dualseg.checkpoints.importers.mmseg_heads import (
    FAMILIES,
    HEAD,
    SIDE_CLASSIFIERS,
    Options,
    move_conv,
    move_jpu,
)
from dualseg.checkpoints.importers.mmseg_layout import Layout, read_layout
from dualseg.checkpoints.importers.mmseg_names import config_of, parse_name
from dualseg.checkpoints.importers.python_config import read_python_config
from dualseg.checkpoints.importers.recognition import rows_of
from dualseg.checkpoints.importers.translation import Translation, Translator
from dualseg.core.errors import InputError
from dualseg.core.facts import IMAGENET_MEAN, IMAGENET_STD
from dualseg.core.labels import LabelSpec

NAME = "mmsegmentation"
LICENCE = "Apache-2.0"
ARCHITECTURES = list_architectures()
AUXILIARY = "auxiliary_head"
# Part of a published file's name -> classes, for files that do not say.
DATASETS = {"cityscapes": cityscapes_labels, "voc12": voc_labels}


def recognise(tensors: Mapping[str, Tensor]) -> str | None:
    """Head and backbone, such as `fcn_r50`: all that the tensors tell."""
    return tell(tensors)


def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation:
    """One of `ARCHITECTURES` under our names; auxiliary heads are kept where we have the like."""
    base, backbone = _require_same(checkpoint, arch)
    family = base.rpartition("_")[0]
    layout = _find_layout(checkpoint, arch, base, backbone)
    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    move_backbone(moves, backbone)
    if family in FASTFCN:
        move_jpu(moves)
    options = FAMILIES[HEAD_OF[family]].move(moves, layout)
    options |= _move_classifiers(moves, layout)
    weights, dropped = moves.finish()
    num_classes = rows_of(weights, "predictor.conv.weight")
    special = options.pop("backbone_options", {}) | backbone_options(backbone, layout)
    return Translation(
        architecture={
            "num_classes": num_classes,
            "backbone": backbone.name,
            "output_stride": layout.output_stride,
            "stem": backbone.stem,
            "backbone_options": special,
            "neck": "jpu" if family in FASTFCN else None,
            "align_corners": layout.align_corners,
            **options,
        },
        weights=weights,
        source=f"{NAME} {arch}; strides, dilations and corners from {layout.origin}",
        licence=LICENCE,
        dropped=dropped,
        labels=_labels(checkpoint, num_classes),
        mean=layout.mean or IMAGENET_MEAN,
        std=layout.std or IMAGENET_STD,
        training_size=layout.crop_size,
    )


def _require_same(checkpoint: ForeignCheckpoint, arch: str) -> tuple[str, Backbone]:
    """What the tensors are, if that is what was asked for."""
    told = tell(checkpoint.tensors)
    backbone = find_backbone(checkpoint.tensors)
    asked = parse_name(arch)
    if told is None or backbone is None or told != (base_of(asked) if asked else arch):
        raise InputError(
            f"{checkpoint.path} is no {arch} of {NAME}: its tensors are those of "
            f"{told or 'a network that is not covered'}"
        )
    return told, backbone


def _find_layout(checkpoint: ForeignCheckpoint, arch: str, base: str, backbone: Backbone) -> Layout:
    """What the tensors leave open: from the file's config, `--arch`, or the file's name.

    Raises:
        InputError: None of them says it, or config and `--arch` contradict each other.
    """
    config = _own_config(checkpoint)
    own = asked = None
    if "model" in config:
        own = read_layout(config, backbone.blocks, origin="the config in the file")
    name = parse_name(arch)
    if name is not None:
        asked = read_layout(config_of(name), backbone.blocks, origin=f"--arch {arch}")
        if own is not None and own.differences(asked):
            raise InputError(
                f"the config in {checkpoint.path} contradicts --arch {arch}: "
                f"{own.differences(asked)}; leave --arch out"
            )
    if own or asked:
        return own or asked  # type: ignore[return-value]
    name = parse_name(checkpoint.path.name)
    if name is not None and name.crop_size is not None and base_of(name) == base:
        return read_layout(config_of(name), backbone.blocks, origin="the name of the file")
    whole = [known for known in ARCHITECTURES if _is_form_of(known, base)]
    raise InputError(
        f"{checkpoint.path} is a {base} of {NAME}, but neither a config in it nor its name (as "
        "published, with the crop size) says output stride, dilations and whether corners were "
        f"aligned; say it with --arch: {', '.join(whole)}"
    )


def _is_form_of(arch: str, base: str) -> bool:
    name = parse_name(arch)
    return name is not None and base_of(name) == base


def _own_config(checkpoint: ForeignCheckpoint) -> dict[str, Any]:
    """The config in the file: `config` in 0.x, `cfg` in 1.x."""
    meta = checkpoint.meta.get("meta")
    for key in ("config", "cfg"):
        text = meta.get(key) if isinstance(meta, Mapping) else None
        if isinstance(text, str):
            return read_python_config(text)
    return {}


def _move_classifiers(moves: Translator, layout: Layout) -> Options:
    """Classifiers and auxiliary heads; arguments of `create_model` about these."""
    moves.move(f"{HEAD}.conv_seg", "predictor.conv")
    moves.drop(f"{HEAD}.se_layer", "tells in training which classes an image holds")
    if layout.auxiliary_dilation != 1:
        moves.drop(AUXILIARY, f"its dilation is {layout.auxiliary_dilation}, ours have none")
    heads = [f"{AUXILIARY}.{index}" for index in range(2) if moves.has(f"{AUXILIARY}.{index}")]
    heads = heads or ([AUXILIARY] if moves.has(AUXILIARY) else [])
    channels: int | None = None
    for index, theirs in enumerate(heads):
        ours = f"auxiliary_heads.{index}"
        move_conv(moves, f"{theirs}.convs.0", f"{ours}.head.conv")
        moves.move(f"{theirs}.conv_seg", f"{ours}.classifier.conv")
        channels = rows_of(moves.weights, f"{ours}.head.conv.0.weight")
    sides = [name for name in SIDE_CLASSIFIERS if moves.has(f"{HEAD}.{name}")]
    for index, name in enumerate(sides, start=len(heads)):
        moves.move(f"{HEAD}.{name}", f"auxiliary_heads.{index}.classifier.conv")
    return {
        "auxiliary": "all" if heads and sides else bool(heads or sides),
        "auxiliary_channels": channels,
    }


def _labels(checkpoint: ForeignCheckpoint, num_classes: int) -> LabelSpec | None:
    """Names and colours in the file (0.x, then 1.x); else those of the data set in its name."""
    meta = checkpoint.meta.get("meta")
    if isinstance(meta, Mapping):
        newer = meta.get("dataset_meta")
        newer = newer if isinstance(newer, Mapping) else {}
        names = meta.get("CLASSES") or newer.get("classes")
        palette = meta.get("PALETTE") or newer.get("palette")
        if isinstance(names, list | tuple) and len(names) == num_classes:
            if not all(isinstance(name, str) for name in names):
                raise InputError(f"{checkpoint.path} names its classes {names}; names are texts")
            if len(set(names)) == num_classes:
                return named_labels(names, palette if isinstance(palette, list | tuple) else None)
    for dataset, labels in DATASETS.items():
        if dataset in checkpoint.path.name and labels().num_classes == num_classes:
            return labels()
    return None
