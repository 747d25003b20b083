"""VGG-16, plain or with DeepLab v1's pooling."""

from typing import Literal

from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.features import FeatureInfo

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
STRIDES = (1, 2, 4, 8, 16, 32)

Pools = Literal["plain", "large_fov"]


class VGG16(nn.Module):
    """The thirteen convolutions of VGG-16, without its classifier.

    Pooling beyond `output_stride` keeps the size, and what comes behind it is dilated instead.

    Args:
        output_stride: Input size divided by the deepest feature's size: 8, 16 or 32.
        in_channels: Bands of the images.
        pools: "plain": 2x2, the last row and column kept where a size is odd (which torchvision
            drops); "large_fov": 3x3, as DeepLab v1, with a 3x3 average behind the last one.

    Shape: (B, C, H, W) -> one feature a block before its pooling, then the last pooling's:
        64 at stride 1, 128 at 2, 256 at 4, 512 at 8, 512 at 16, 512 at 32, none beyond
        `output_stride`

    Raises:
        InputError: Another output stride, or unknown pools.

    Source: Simonyan and Zisserman 2015, arXiv:1409.1556, table 1 (D); "large_fov": Chen et al.
        2015, arXiv:1412.7062, section 3.1, as the authors' DeepLab-LargeFOV network file. Differs:
        at even sizes Caffe's pooling gives one position more.
    """

    auxiliary_index = -2

    def __init__(self, *, output_stride: int = 32, in_channels: int = 3, pools: Pools = "plain"):
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise InputError(f"vgg16 cannot run at output_stride {output_stride}; use 8, 16 or 32")
        if pools not in ("plain", "large_fov"):
            raise InputError(f"pools {pools!r} is unknown; use plain or large_fov")
        self.blocks = nn.ModuleList()
        self.pools = nn.ModuleList()
        info, channels, stride, dilation = [], in_channels, 1, 1
        for widths in WIDTHS:
            self.blocks.append(_block(channels, widths, dilation))
            channels = widths[-1]
            info.append(FeatureInfo(channels, stride))
            shrinks = stride < output_stride
            self.pools.append(_pool(pools, stride=2 if shrinks else 1))
            stride, dilation = (2 * stride, 1) if shrinks else (stride, 2 * dilation)
        info.append(FeatureInfo(channels, stride))
        if pools == "large_fov":
            self.pools[-1] = nn.Sequential(self.pools[-1], nn.AvgPool2d(3, stride=1, padding=1))
        self.feature_info = tuple(info)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> list[Tensor]:
        features, maps = [], images
        for block, pool in zip(self.blocks, self.pools, strict=True):
            features.append(block(maps))
            maps = pool(features[-1])
        return [*features, maps]


def rename_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's and timm's `features.N` -> our names; their classifier is left out.

    Tensors of other names stay as they are.
    """
    ours = [
        f"blocks.{number}.{2 * position}"
        for number, widths in enumerate(WIDTHS)
        for position in range(len(widths))
    ]
    theirs = sorted({int(name.split(".")[1]) for name in weights if name.startswith("features.")})
    places = dict(zip(theirs, ours, strict=False))
    renamed = {}
    for name, tensor in weights.items():
        parts = name.split(".")
        if parts[0] == "features" and len(parts) == 3 and int(parts[1]) in places:
            renamed[f"{places[int(parts[1])]}.{parts[2]}"] = tensor
        elif not name.startswith(("classifier.", "pre_logits.", "head.")):
            renamed[name] = tensor
    return renamed


def _block(in_channels: int, widths: tuple[int, ...], dilation: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        convolution = nn.Conv2d(in_channels, width, 3, padding=dilation, dilation=dilation)
        layers += [convolution, nn.ReLU(inplace=True)]
        in_channels = width
    return nn.Sequential(*layers)


def _pool(pools: Pools, *, stride: int) -> nn.Module:
    if pools == "large_fov":
        return nn.MaxPool2d(3, stride=stride, padding=1)
    return nn.MaxPool2d(2, stride=2, ceil_mode=True) if stride == 2 else nn.Identity()
