"""CoinCheung/BiSeNet: BiSeNet v1, in the three forms its weights were published in.

August 2020: fusion weighed by squeeze and excitation, classifiers without bias, corners aligned,
images read blue first. July 2021: with bias, corners not aligned, red first. After July 2021: the
fusion's gate is one convolution and a batch norm. Not covered: the months between (September 2020
to June 2021), whose classifiers predict 8x8 labels at each position.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.class_tables import labels_by_count
from dualseg.checkpoints.importers.recognition import has_all, rows_of
from dualseg.checkpoints.importers.translation import Translation, Translator
from dualseg.core.errors import InputError
from dualseg.core.facts import IMAGENET_MEAN, IMAGENET_STD

NAME = "coincheung"
LICENCE = "MIT (of the code)"
ARCHITECTURES = {
    "bisenetv1_linear_gate": "BiSeNet v1, ResNet-18; weights after July 2021",
    "bisenetv1_squeeze": "BiSeNet v1, ResNet-18, squeeze and excitation; weights of July 2021",
    "bisenetv1_first": "BiSeNet v1, ResNet-18, squeeze and excitation; weights of August 2020",
}
OUTPUTS = ("conv_out", "conv_out16", "conv_out32")
Color = tuple[float, float, float]
# Classes -> mean and deviation in the loader: Cityscapes, ADE20K, COCO-Stuff.
STATISTICS: dict[int, tuple[Color, Color]] = {
    19: ((0.3257, 0.3690, 0.3223), (0.2112, 0.2148, 0.2115)),
    150: ((0.49343230, 0.46819794, 0.43106043), (0.25680755, 0.25506608, 0.27422913)),
    171: ((0.46962251, 0.4464104, 0.40718787), (0.27469736, 0.27012361, 0.28515933)),
}
CROPS = {19: (1024, 1024), 150: (512, 512), 171: (512, 512)}


def recognise(tensors: Mapping[str, Tensor]) -> str | None:
    """The form whose names these are.

    Raises:
        InputError: Its classifiers predict 8x8 labels at each position.
    """
    if not has_all(tensors, "cp.arm16.bn_atten.weight", "conv_out.conv_out.weight"):
        return None
    if "ffm.bn.weight" in tensors:
        return "bisenetv1_linear_gate"
    if _predicts_squares(tensors):
        raise InputError(
            "this is CoinCheung's BiSeNet of September 2020 to June 2021, whose classifiers "
            "predict 8x8 labels at each position; import its weights from before or after"
        )
    has_bias = "conv_out.conv_out.bias" in tensors
    return "bisenetv1_squeeze" if has_bias else "bisenetv1_first"


def _predicts_squares(tensors: Mapping[str, Tensor]) -> bool:
    """8x8 labels at a position of the main output, 16x16 at one of the coarsest."""
    rows, coarsest = rows_of(tensors, "conv_out.conv_out.weight"), "conv_out32.conv_out.weight"
    return rows % 64 == 0 and (coarsest not in tensors or rows_of(tensors, coarsest) == 4 * rows)


def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation:
    """One of `ARCHITECTURES` under our names; the auxiliary heads are kept where there are some."""
    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    is_first = arch == "bisenetv1_first"
    has_auxiliary = moves.has("conv_out16")
    _move_paths(moves)
    _move_fusion(moves, arch)
    moves.move("conv_out.conv.conv", "head.last.0")
    moves.move("conv_out.conv.bn", "head.last.1")
    moves.move("conv_out.conv_out", "predictor.conv")
    for index, output in enumerate(OUTPUTS[1:] if has_auxiliary else ()):
        to = f"auxiliary_heads.{index}"
        moves.move(f"{output}.conv.conv", f"{to}.head.conv.0")
        moves.move(f"{output}.conv.bn", f"{to}.head.conv.1")
        moves.move(f"{output}.conv_out", f"{to}.classifier.conv")
        _add_bias(moves, f"{to}.classifier.conv")
    _add_bias(moves, "predictor.conv")
    if is_first:
        moves.flip_input_channels("backbone.body.body.conv1")
        moves.flip_input_channels("backbone.spatial_path.0.0")
    weights, dropped = moves.finish()
    num_classes = rows_of(weights, "predictor.conv.weight")
    mean, std = STATISTICS.get(num_classes, (IMAGENET_MEAN, IMAGENET_STD))
    if is_first:  # the same three numbers, taken for blue, green, red
        mean, std = (mean[2], mean[1], mean[0]), (std[2], std[1], std[0])
    head_options: dict[str, Any] = {"upsampling": "nearest", "dropout": 0.0}
    variant = "linear_gate" if arch == "bisenetv1_linear_gate" else "squeeze"
    return Translation(
        architecture={
            "name": "bisenet",
            "num_classes": num_classes,
            "backbone": "resnet18",
            "output_stride": 32,
            "head_variant": variant,
            "head_options": head_options,
            "align_corners": is_first,
            "auxiliary": has_auxiliary,
        },
        weights=weights,
        source=f"{NAME} {arch}",
        licence=LICENCE,
        dropped=dropped,
        assumed_labels=labels_by_count(num_classes),
        mean=mean,
        std=std,
        training_size=CROPS.get(num_classes),
    )


def _move_paths(moves: Translator) -> None:
    moves.move("cp.resnet", "backbone.body.body")
    for index, name in enumerate(("conv1", "conv2", "conv3", "conv_out")):
        moves.move(f"sp.{name}.conv", f"backbone.spatial_path.{index}.0")
        moves.move(f"sp.{name}.bn", f"backbone.spatial_path.{index}.1")
    moves.move("cp.conv_avg.conv", "head.global_context.0")
    moves.move("cp.conv_avg.bn", "head.global_context.1")
    for stride, position in ((32, "deepest"), (16, "middle")):
        attention = f"head.attention_{position}"
        moves.move(f"cp.arm{stride}.conv.conv", f"{attention}.conv.0")
        moves.move(f"cp.arm{stride}.conv.bn", f"{attention}.conv.1")
        moves.move(f"cp.arm{stride}.conv_atten", f"{attention}.gate.0")
        moves.move(f"cp.arm{stride}.bn_atten", f"{attention}.gate.1")
        moves.move(f"cp.conv_head{stride}.conv", f"head.refine_{position}.0")
        moves.move(f"cp.conv_head{stride}.bn", f"head.refine_{position}.1")


def _move_fusion(moves: Translator, arch: str) -> None:
    moves.move("ffm.convblk.conv", "head.fusion.conv.0")
    moves.move("ffm.convblk.bn", "head.fusion.conv.1")
    is_linear = arch == "bisenetv1_linear_gate"
    names = (("conv", 0), ("bn", 1)) if is_linear else (("conv1", 0), ("conv2", 2))
    for name, index in names:
        moves.move(f"ffm.{name}", f"head.fusion.gate.{index}")


def _add_bias(moves: Translator, classifier: str) -> None:
    """Zeros where the source has no bias."""
    if f"{classifier}.bias" not in moves.weights:
        moves.put(f"{classifier}.bias", torch.zeros(rows_of(moves.weights, f"{classifier}.weight")))
