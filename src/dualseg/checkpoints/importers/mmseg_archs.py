"""The networks of mmsegmentation that can be imported, and how their tensors tell them."""

from collections.abc import Mapping

from torch import Tensor

from dualseg.checkpoints.importers.mmseg_backbones import MOBILENET, find_backbone
from dualseg.checkpoints.importers.mmseg_heads import FAMILIES, HEAD, SIDE_CLASSIFIERS
from dualseg.checkpoints.importers.mmseg_names import Name

FASTFCN = {"fastfcn_psp": "pspnet", "fastfcn_aspp": "deeplabv3", "fastfcn_enc": "encnet"}
HEAD_OF = {**{name: name for name in FAMILIES}, **FASTFCN}
ALL_BACKBONES = ("r18", "r50", "r101", MOBILENET)
BACKBONES_OF = {
    **dict.fromkeys(("fcn", "pspnet", "deeplabv3", "deeplabv3plus"), ALL_BACKBONES),
    **dict.fromkeys(("danet", "ccnet", "encnet"), ("r50", "r101")),
    **dict.fromkeys(FASTFCN, ("r50",)),
    "bisenetv1": ("r18", "r50", "r101"),
}
TITLES = {
    "r18": "ResNet-18",
    "r50": "ResNet-50",
    "r101": "ResNet-101",
    MOBILENET: "MobileNetV2",
}
# Parts of a decode head that tell nothing, since several kinds have them.
SHARED_PARTS = {"conv_seg", "conv_cat", "se_layer", *SIDE_CLASSIFIERS}
JPU = "neck.dilation_layers.3.0.depthwise_conv.conv.weight"


def list_architectures() -> dict[str, str]:
    """Networks as far as their tensors tell them, such as `fcn_r50`; then whole ones."""
    found: dict[str, str] = {}
    whole: dict[str, str] = {}
    for family, head in HEAD_OF.items():
        for backbone in BACKBONES_OF[family]:
            behind = " behind a JPU" if family in FASTFCN else ""
            title = f"{FAMILIES[head].title}{behind}, {TITLES[backbone]}"
            found[f"{family}_{backbone}"] = f"{title}; the rest as the file's config or name says"
            for name, form in _forms(family, backbone).items():
                whole[name] = f"{title}, {form}"
    return found | whole


def tell(tensors: Mapping[str, Tensor]) -> str | None:
    """The network, as far as its tensors tell it; None if it is none of ours."""
    backbone = find_backbone(tensors)
    parts = {name.split(".")[1] for name in tensors if name.startswith(f"{HEAD}.")}
    families = [name for name, head in FAMILIES.items() if head.parts == parts - SHARED_PARTS]
    has_spatial_path = "backbone.spatial_path.layer1.conv.weight" in tensors
    families = [name for name in families if (name == "bisenetv1") == has_spatial_path]
    if any(name.startswith("neck.") for name in tensors):
        families = [name for name, head in FASTFCN.items() if [head] == families and JPU in tensors]
    if backbone is None or len(families) != 1:
        return None
    known = backbone.short in BACKBONES_OF[families[0]]
    return f"{families[0]}_{backbone.short}" if known else None


def base_of(name: Name) -> str:
    """What `tell` says of a network with that name."""
    return f"{name.family}_{name.backbone.rstrip('bs')}"


def _forms(family: str, backbone: str) -> dict[str, str]:
    """Whole names -> what the short one leaves open."""
    if family in FASTFCN:
        jpu = family.removeprefix("fastfcn_")
        return {f"fastfcn_{backbone}-d32_jpu_{jpu}": "output stride 32, dilated"}
    if family == "bisenetv1":
        return {f"{family}_{backbone}-d32": "output stride 32"}
    forms = {f"{family}_{backbone}-d8": "output stride 8"}
    if backbone == MOBILENET:
        return forms
    if family == "fcn" and backbone != "r18":
        forms[f"fcn-d6_{backbone}-d16"] = "output stride 16, head dilation 6"
    forms |= {f"{name}_769x769": f"{form}, corners aligned" for name, form in forms.items()}
    if family == "pspnet" and backbone == "r50":
        forms[f"{family}_{backbone}-d32"] = "output stride 32, dilated"
    if family in ("deeplabv3", "deeplabv3plus") and backbone == "r101":
        forms[f"{family}_{backbone}-d16-mg124"] = "output stride 16, multi-grid 1, 2, 4"
    return forms
