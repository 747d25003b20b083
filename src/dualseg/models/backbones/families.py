"""What can be asked of each family of backbones."""

from typing import NamedTuple

from dualseg.models.backbones import densenet, drn
from dualseg.models.backbones.resnet import RESNETS, STEMS

ALL_STRIDES = (8, 16, 32)


class Family(NamedTuple):
    """Backbones that share what can be asked of them.

    Attributes:
        names: For `create_backbone`.
        output_strides: That they can run at.
        stems: Allowed `stem`s; empty where there is one form.
        options: Keys that `options` may hold.
        source: Paper, and whose network it is.
    """

    names: tuple[str, ...]
    output_strides: tuple[int, ...]
    stems: tuple[str, ...]
    options: tuple[str, ...]
    source: str


FAMILIES: dict[str, Family] = {
    "ResNet": Family(
        RESNETS,
        ALL_STRIDES,
        tuple(STEMS),
        ("ceil_pool", "stride_on", "norm_eps", "depth", "dilations", "drop_path_rate"),
        "He et al. 2015, arXiv:1512.03385; timm",
    ),
    "MobileNetV2": Family(
        ("mobilenet_v2",),
        ALL_STRIDES,
        (),
        ("pad_before_expand", "pad_stem", "norm_eps", "depth", "dilations", "drop_path_rate"),
        "Sandler et al. 2018, arXiv:1801.04381; timm",
    ),
    "MobileNetV3": Family(
        ("mobilenet_v3_large",),
        (16, 32),
        (),
        ("norm_eps",),
        "Howard et al. 2019, arXiv:1905.02244; torchvision",
    ),
    # As released with DeepLab v3+: 256 low-level channels at stride 4 (before the third block's
    # stride), ReLU after both norms of an exit separable convolution, norm_eps 0.001. jfzhang's
    # port has 128 (behind the first block), no ReLU after the depthwise norm, norm_eps 0.00001.
    "Xception": Family(
        ("xception65",),
        ALL_STRIDES,
        (),
        ("norm_eps", "drop_path_rate"),
        "Chen et al. 2018, arXiv:1802.02611, aligned; timm, after TensorFlow's DeepLab",
    ),
    "DRN": Family(
        ("drn_a_50", *drn.PLANS),
        (8,),
        (),
        ("norm_eps",),
        "Yu et al. 2017, arXiv:1705.09914; A is a ResNet-50",
    ),
    "DenseNet": Family(
        (*densenet.NAMES, "dense30k48"),
        ALL_STRIDES,
        (),
        (
            "stem",
            "compression",
            "transition",
            "latter_pooling",
            "dropout",
            "squeeze_excite",
            "transition_squeeze_excite",
            "norm_eps",
        ),
        "Huang et al. 2017, arXiv:1608.06993; denseNkG: N layers, growth G, tensorpack examples",
    ),
    "VGG": Family(
        ("vgg16",),
        ALL_STRIDES,
        (),
        ("pools",),
        "Simonyan and Zisserman 2015, arXiv:1409.1556; large_fov: arXiv:1412.7062",
    ),
}
OTHERS = Family(
    ("any timm model with features",),
    ALL_STRIDES,
    (),
    ("ceil_pool", "stride_on", "norm_eps", "depth", "dilations", "drop_path_rate"),
    "https://github.com/huggingface/pytorch-image-models",
)
