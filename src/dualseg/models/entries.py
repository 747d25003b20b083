"""What the catalogue knows of each network: one literal table."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from dualseg.core.errors import InputError, nearest
from dualseg.models.backbones.create import closest_output_stride


class Entry(NamedTuple):
    """One network of the catalogue.

    Attributes:
        summary: Paper and idea in a line.
        source: arXiv number or venue.
        backbone: The paper's, taken where none is named.
        output_stride: Of the backbone, taken where none is named and the backbone can have it.
        variants: Allowed `head_variant`s, the default first; empty where there is one form.
        options: Keys that `head_options` may hold.
        has_rates: Whether `atrous_rates` means anything.
    """

    summary: str
    source: str
    backbone: str = "resnet50"
    output_stride: int = 16
    variants: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    has_rates: bool = False


ENTRIES: dict[str, Entry] = {
    "fcn": Entry(
        "FCN, Long et al. 2015: one or two 3x3 convolutions on the deepest feature",
        "arXiv:1411.4038",
        variants=("single", "double"),
        options=("channels", "dilation"),
    ),
    "pspnet": Entry(
        "PSPNet, Zhao et al. 2017: pyramid pooling at four grids",
        "arXiv:1612.01105",
        output_stride=8,
        variants=("standard", "smp"),
        options=("channels", "pool_sizes"),
    ),
    "deeplabv1": Entry(
        "DeepLab v1 LargeFOV, Chen et al. 2015: VGG-16 with a widely dilated fc6",
        "arXiv:1412.7062",
        backbone="vgg16",
        output_stride=8,
    ),
    "deeplabv2": Entry(
        "DeepLab v2, Chen et al. 2017: sum of four dilated classifiers, maximum over three scales",
        "arXiv:1606.00915",
        backbone="resnet101",
        output_stride=8,
        variants=("multi_scale", "single_scale"),
        has_rates=True,
    ),
    "deeplabv3": Entry(
        "DeepLabV3, Chen et al. 2017: atrous spatial pyramid pooling",
        "arXiv:1706.05587",
        variants=("projected", "bottleneck"),
        options=("channels", "dropout"),
        has_rates=True,
    ),
    "deeplabv3plus": Entry(
        "DeepLabV3+, Chen et al. 2018: ASPP and a decoder with a low-level feature",
        "arXiv:1802.02611",
        variants=("separable", "standard", "single", "single_separable", "bottleneck", "smp"),
        options=("channels", "low_level_channels", "decoder_channels", "dropout"),
        has_rates=True,
    ),
    "danet": Entry(
        "DANet, Fu et al. 2019: position and channel attention, three classifiers",
        "arXiv:1809.02983",
        output_stride=8,
        options=("channels",),
    ),
    "bisenet": Entry(
        "BiSeNet v1, Yu et al. 2018: a spatial and a context path, fused",
        "arXiv:1808.00897",
        backbone="resnet18",
        output_stride=32,
        variants=("gate", "linear_gate", "squeeze"),
        options=(
            "context_channels",
            "fusion_channels",
            "channels",
            "reduction",
            "upsampling",
            "dropout",
        ),
    ),
    "ocnet": Entry(
        "OCNet, Yuan et al. 2018: object context by self-attention (base, pyramid, asp)",
        "arXiv:1809.00916",
        output_stride=8,
        variants=("base", "pyramid", "asp"),
        options=("channels", "activation"),
    ),
    "ccnet": Entry(
        "CCNet, Huang et al. 2019: recurrent criss-cross attention",
        "arXiv:1811.11721",
        output_stride=8,
        options=("channels", "recurrence", "activation"),
    ),
    "encnet": Entry(
        "EncNet, Zhang et al. 2018: channels gated by an encoding of the whole image",
        "arXiv:1803.08904",
        output_stride=8,
        options=("channels", "num_codewords", "kernel_size", "lateral"),
    ),
    "lraspp": Entry(
        "LR-ASPP, Howard et al. 2019: a gated deep feature beside a fine one, for small devices",
        "arXiv:1905.02244",
        backbone="mobilenet_v3_large",
        options=("channels",),
    ),
    "densenet_fusion": Entry(
        "DenseNet-DeepLab, Hu 2017: a shallow, wide DenseNet, its levels fused (dense in dense)",
        "dongzhuoyao/tensorpack",
        backbone="dense30k48",
        variants=(
            "newdid6",
            "newdid6_senet",
            "newdid4",
            "newdid4_1",
            "newdid",
            "newdid2",
            "did",
            "did4",
            "plain",
        ),
        options=("channels",),
    ),
}


def fill_in_defaults(
    name: str,
    backbone: str | None,
    output_stride: int | None,
    *,
    neck: str | None,
    backbone_options: Mapping[str, Any] | None,
) -> tuple[str, int]:
    """The backbone and output stride of a network's paper, for those not given; the closest stride
    that a backbone has, where it cannot run at the paper's.

    Raises:
        InputError: There is no such network.
    """
    if name not in ENTRIES:
        raise InputError(f"there is no model {name!r}; {nearest(name, ENTRIES)}")
    entry = ENTRIES[name]
    if backbone is None:
        backbone = entry.backbone
    if output_stride is not None:
        return backbone, output_stride
    if neck == "jpu":
        return backbone, 32
    stride = closest_output_stride(backbone, entry.output_stride, options=backbone_options)
    return backbone, stride
