"""Names of mmsegmentation's published files and configs, and what they stand for."""

import re
from typing import Any, NamedTuple

# Strides and dilations of the stages, and the rates of an ASPP, by the stride in a file's name.
# PSPNet at D32 and FastFCN shrink and dilate at once.
RESNET_STAGES: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {
    8: ((1, 2, 1, 1), (1, 1, 2, 4)),
    16: ((1, 2, 2, 1), (1, 1, 1, 2)),
    32: ((1, 2, 2, 2), (1, 1, 2, 4)),
}
UNDILATED = ((1, 2, 2, 2), (1, 1, 1, 1))
MOBILENET_STAGES = ((1, 2, 2, 1, 1, 1, 1), (1, 1, 1, 2, 2, 4, 4))
RATES = {8: (1, 12, 24, 36), 16: (1, 6, 12, 18), 32: (1, 12, 24, 36)}
POOL_SIZES = (1, 2, 3, 6)
D6_DILATION = 6
ALIGNED_CROP = (769, 769)  # the published networks with aligned corners are those of this crop


class Name(NamedTuple):
    """What the name of a published file or config says.

    Attributes:
        family: `fcn`, `pspnet`, ... or `fastfcn_psp`, `fastfcn_aspp`, `fastfcn_enc`.
        backbone: `r18`, `r50`, `r101`, with a letter behind it for another stem than c, or `m-v2`.
        stride: The number behind D.
        is_d6: FCN with dilation 6 in its head.
        multi_grid: Dilations of the last stage's blocks, where the name says so.
        crop_size: (height, width), where the name says so.
    """

    family: str
    backbone: str
    stride: int
    is_d6: bool
    multi_grid: tuple[int, ...] | None
    crop_size: tuple[int, int] | None


def parse_name(text: str) -> Name | None:
    """The name of a file, of a config or of an `--arch`; None for any other."""
    text = text.replace("mobilenet-v2-d8_fcn", "fcn_m-v2-d8")
    text = re.sub(r"^mobilenet-v2-d8_(deeplabv3plus|deeplabv3|pspnet)", r"\1_m-v2-d8", text)
    found = re.match(
        r"(fcn|pspnet|deeplabv3plus|deeplabv3|danet|ccnet|encnet|bisenetv1|fastfcn)([-_]d6)?"
        r"_(r\d+[bs]?|m-v2)-d(8|16|32)(?:-mg([124]+))?(?:_jpu_(psp|aspp|enc))?(?=[_.-]|$)",
        text,
    )
    if found is None or (found[1] == "fastfcn") != (found[6] is not None):
        return None
    crop = re.search(r"[_-](\d{3,4})x(\d{3,4})(?=[_.-]|$)", text[found.end() :])
    return Name(
        family="_".join(part for part in (found[1], found[6]) if part),
        backbone=found[3],
        stride=int(found[4]),
        is_d6=found[2] is not None,
        multi_grid=tuple(map(int, found[5])) if found[5] else None,
        crop_size=(int(crop[1]), int(crop[2])) if crop else None,
    )


def config_of(name: Name) -> dict[str, Any]:
    """What the config of that name says about the network."""
    if name.backbone == "m-v2":
        backbone: dict[str, Any] = {"type": "MobileNetV2"}
        strides, dilations = MOBILENET_STAGES
    else:
        backbone = {"type": "ResNet", "contract_dilation": True, "multi_grid": name.multi_grid}
        strides, dilations = RESNET_STAGES[name.stride]
        if name.family == "bisenetv1":
            strides, dilations = UNDILATED
    backbone |= {"strides": strides, "dilations": dilations}
    head: dict[str, Any] = {"align_corners": name.crop_size == ALIGNED_CROP}
    if name.family in ("deeplabv3", "deeplabv3plus", "fastfcn_aspp"):
        head["dilations"] = RATES[name.stride]
    if name.family in ("pspnet", "fastfcn_psp"):
        head["pool_scales"] = POOL_SIZES
    auxiliary = {"dilation": D6_DILATION if name.is_d6 else 1}
    if name.is_d6:
        head["dilation"] = D6_DILATION
    if name.family == "bisenetv1":
        backbone = {"type": "BiSeNetV1", "backbone_cfg": backbone}
    model = {"backbone": backbone, "decode_head": head, "auxiliary_head": auxiliary}
    return {"model": model, "crop_size": name.crop_size}
