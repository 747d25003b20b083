"""mmsegmentation's decode heads under our names."""

from collections.abc import Callable
from typing import Any, NamedTuple

from dualseg.checkpoints.importers.mmseg_layout import Layout
from dualseg.checkpoints.importers.recognition import rows_of
from dualseg.checkpoints.importers.translation import Translator

Options = dict[str, Any]
HEAD = "decode_head"
SIDE_CLASSIFIERS = ("pam_conv_seg", "cam_conv_seg")  # of DANet's branches
USUAL_WIDTHS = [64, 128]  # the first three of BiSeNet's spatial path, and its last


class Family(NamedTuple):
    """One kind of head.

    Attributes:
        title: For `dualseg import --list`.
        parts: Names below `decode_head` that every such head has, and it alone; BiSeNet's head is
            an FCN's, told by its backbone.
        move: Moves the head's tensors; returns arguments of `create_model`.
    """

    title: str
    parts: frozenset[str]
    move: Callable[[Translator, Layout], Options]


def move_conv(moves: Translator, prefix: str, to: str) -> None:
    """Convolution and batch norm."""
    moves.move(f"{prefix}.conv", f"{to}.0")
    moves.move(f"{prefix}.bn", f"{to}.1")


def move_separable(moves: Translator, prefix: str, to: str, *, relu_between: bool) -> None:
    """Depthwise and pointwise convolution, each with its batch norm."""
    second = 3 if relu_between else 2
    for index, name in ((0, "depthwise_conv"), (second, "pointwise_conv")):
        moves.move(f"{prefix}.{name}.conv", f"{to}.{index}")
        moves.move(f"{prefix}.{name}.bn", f"{to}.{index + 1}")


def move_jpu(moves: Translator) -> None:
    """Both join fine to coarse."""
    for level in range(3):
        move_conv(moves, f"neck.conv_layers.{level}.0", f"neck.reduce.{level}")
    for branch in range(4):
        move_separable(
            moves, f"neck.dilation_layers.{branch}.0", f"neck.dilated.{branch}", relu_between=False
        )


def _move_fcn(moves: Translator, layout: Layout) -> Options:
    is_double = moves.has(f"{HEAD}.convs.1")
    move_conv(moves, f"{HEAD}.convs.0", "head.conv.0" if is_double else "head.conv")
    if is_double:
        move_conv(moves, f"{HEAD}.convs.1", "head.conv.1")
        move_conv(moves, f"{HEAD}.conv_cat", "head.fuse")
    first = "head.conv.0.0.weight" if is_double else "head.conv.0.weight"
    return {
        "name": "fcn",
        "head_variant": "double" if is_double else "single",
        "head_options": {
            "channels": rows_of(moves.weights, first),
            "dilation": layout.head_dilation,
        },
    }


def _move_psp(moves: Translator, layout: Layout) -> Options:
    for level in range(len(layout.pool_sizes)):
        move_conv(moves, f"{HEAD}.psp_modules.{level}.1", f"head.levels.{level}")
    move_conv(moves, f"{HEAD}.bottleneck", "head.fuse")
    return {
        "name": "pspnet",
        "head_variant": "standard",
        "head_options": {
            "channels": rows_of(moves.weights, "head.fuse.0.weight"),
            "pool_sizes": list(layout.pool_sizes),
        },
    }


def _move_aspp(moves: Translator, layout: Layout) -> int:
    """Everything that DeepLabV3 and V3+ share; returns the channels of a branch.

    The pooled map is joined before the other branches there, and after them here.
    """
    for branch in range(len(layout.rates)):
        theirs, ours = f"{HEAD}.aspp_modules.{branch}", f"head.aspp.branches.{branch}"
        if moves.has(f"{theirs}.depthwise_conv"):
            move_separable(moves, theirs, ours, relu_between=True)
        else:
            move_conv(moves, theirs, ours)
    pooled = f"head.aspp.branches.{len(layout.rates)}"
    moves.move(f"{HEAD}.image_pool.1.conv", f"{pooled}.conv")
    moves.move(f"{HEAD}.image_pool.1.bn", f"{pooled}.norm")
    move_conv(moves, f"{HEAD}.bottleneck", "head.aspp.project.0")
    channels = rows_of(moves.weights, f"{pooled}.conv.weight")
    joined = len(layout.rates) + 1
    order = (*range(1, joined), 0)
    moves.reorder_inputs("head.aspp.project.0.0.weight", (channels,) * joined, order)
    return channels


def _move_deeplab_v3(moves: Translator, layout: Layout) -> Options:
    return {
        "name": "deeplabv3",
        "head_variant": "bottleneck",
        "head_options": {"channels": _move_aspp(moves, layout)},
        "atrous_rates": list(layout.rates[1:]),
    }


def _move_deeplab_v3_plus(moves: Translator, layout: Layout) -> Options:
    channels = _move_aspp(moves, layout)
    move_conv(moves, f"{HEAD}.c1_bottleneck", "head.low_level")
    for index in range(2):
        theirs, ours = f"{HEAD}.sep_bottleneck.{index}", f"head.fuse.{index}"
        move_separable(moves, theirs, ours, relu_between=True)
    return {
        "name": "deeplabv3plus",
        "head_variant": "bottleneck",
        "head_options": {
            "channels": channels,
            "low_level_channels": rows_of(moves.weights, "head.low_level.0.weight"),
        },
        "atrous_rates": list(layout.rates[1:]),
    }


def _move_bisenet(moves: Translator, layout: Layout) -> Options:
    paths = "backbone.context_path"
    for index in range(4):
        theirs = f"backbone.spatial_path.layer{index + 1}"
        move_conv(moves, theirs, f"backbone.spatial_path.{index}")
    move_conv(moves, f"{paths}.gap_conv.1", "head.global_context")
    for stride, position in ((32, "deepest"), (16, "middle")):
        attention = f"head.attention_{position}"
        move_conv(moves, f"{paths}.arm{stride}.conv_layer", f"{attention}.conv")
        move_conv(moves, f"{paths}.arm{stride}.atten_conv_layer.1", f"{attention}.gate")
        move_conv(moves, f"{paths}.conv_head{stride}", f"head.refine_{position}")
    move_conv(moves, "backbone.ffm.conv1", "head.fusion.conv")
    move_conv(moves, "backbone.ffm.conv_atten.0", "head.fusion.gate")
    move_conv(moves, f"{HEAD}.convs.0", "head.last")
    widths = [rows_of(moves.weights, f"backbone.spatial_path.{i}.0.weight") for i in (0, 3)]
    return {
        "name": "bisenet",
        "head_variant": "gate",
        "backbone_options": {} if widths == USUAL_WIDTHS else {"spatial_channels": widths},
        "head_options": {
            "context_channels": rows_of(moves.weights, "head.global_context.0.weight"),
            "fusion_channels": rows_of(moves.weights, "head.fusion.conv.0.weight"),
            "channels": rows_of(moves.weights, "head.last.0.weight"),
        },
    }


def _move_danet(moves: Translator, layout: Layout) -> Options:
    for theirs, ours in (("pam", "position"), ("cam", "channel")):
        move_conv(moves, f"{HEAD}.{theirs}_in_conv", f"head.{ours}_in")
        move_conv(moves, f"{HEAD}.{theirs}_out_conv", f"head.{ours}_out")
        _move_gamma(moves, f"{HEAD}.{theirs}.gamma.scale", f"head.{ours}.gamma")
    for name in ("query", "key", "value"):
        moves.move(f"{HEAD}.pam.{name}_project", f"head.position.{name}")
    return _of_channels("danet", moves, "head.position_in.0.weight")


def _move_ccnet(moves: Translator, layout: Layout) -> Options:
    move_conv(moves, f"{HEAD}.convs.0", "head.reduce")
    for name in ("query", "key", "value"):
        moves.move(f"{HEAD}.cca.{name}_conv", f"head.attention.{name}")
    _move_gamma(moves, f"{HEAD}.cca.gamma.scale", "head.attention.gamma")
    move_conv(moves, f"{HEAD}.convs.1", "head.refine")
    move_conv(moves, f"{HEAD}.conv_cat", "head.fuse")
    options = _of_channels("ccnet", moves, "head.reduce.0.weight")
    options["head_options"]["recurrence"] = layout.recurrence
    return options


def _move_encnet(moves: Translator, layout: Layout) -> Options:
    move_conv(moves, f"{HEAD}.bottleneck", "head.reduce")
    encoding = f"{HEAD}.enc_module"
    move_conv(moves, f"{encoding}.encoding_project", "head.project")
    moves.move(f"{encoding}.encoding.0.codewords", "head.encoding.codewords")
    moves.move(f"{encoding}.encoding.0.scale", "head.encoding.smoothing")
    moves.move(f"{encoding}.encoding.1", "head.norm")
    moves.move(f"{encoding}.fc.0", "head.gate")
    options = _of_channels("encnet", moves, "head.reduce.0.weight")
    options["head_options"]["num_codewords"] = rows_of(moves.weights, "head.encoding.codewords")
    return options


def _move_gamma(moves: Translator, theirs: str, ours: str) -> None:
    """A single number: a scalar in newer files."""
    moves.put(ours, moves.take(theirs).reshape(()))


def _of_channels(name: str, moves: Translator, weight: str) -> Options:
    return {"name": name, "head_options": {"channels": rows_of(moves.weights, weight)}}


PSP_PARTS = frozenset({"psp_modules", "bottleneck"})
ASPP_PARTS = frozenset({"image_pool", "aspp_modules", "bottleneck"})
FAMILIES: dict[str, Family] = {
    "fcn": Family("FCN", frozenset({"convs"}), _move_fcn),
    "pspnet": Family("PSPNet", PSP_PARTS, _move_psp),
    "deeplabv3": Family("DeepLabV3", ASPP_PARTS, _move_deeplab_v3),
    "deeplabv3plus": Family(
        "DeepLabV3+", ASPP_PARTS | {"c1_bottleneck", "sep_bottleneck"}, _move_deeplab_v3_plus
    ),
    "danet": Family(
        "DANet",
        frozenset({"pam_in_conv", "pam", "pam_out_conv", "cam_in_conv", "cam", "cam_out_conv"}),
        _move_danet,
    ),
    "ccnet": Family("CCNet", frozenset({"convs", "cca"}), _move_ccnet),
    "encnet": Family("EncNet", frozenset({"bottleneck", "enc_module"}), _move_encnet),
    "bisenetv1": Family("BiSeNet v1", frozenset({"convs"}), _move_bisenet),
}
