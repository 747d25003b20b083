"""Every backbone by name: our own first, then any timm network that gives features."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from dualseg.core.errors import InputError, nearest
from dualseg.models.backbones import densenet, drn, vgg
from dualseg.models.backbones.backbone import Backbone
from dualseg.models.backbones.densenet import DenseNet, densenet_plan
from dualseg.models.backbones.dilation import FirstBlock
from dualseg.models.backbones.drn import DRN
from dualseg.models.backbones.families import ALL_STRIDES, FAMILIES, OTHERS, Family
from dualseg.models.backbones.mobilenet_v3 import MobileNetV3Large
from dualseg.models.backbones.timm_backbone import ALIASES, TimmBackbone
from dualseg.models.backbones.vgg import VGG16
from dualseg.models.backbones.weights import download_weights, load_published, read_weights

BOOLEAN_OPTIONS = {"ceil_pool", "pad_before_expand", "pad_stem", "compression", "latter_pooling"}
SHARE_OPTIONS = {"drop_path_rate"}
NUMBER_OPTIONS = {"squeeze_excite", "transition_squeeze_excite", "depth"}


def list_backbones() -> list[str]:
    """Our own names first, then every timm model; those without features are refused when built."""
    ours = [name for family in FAMILIES.values() for name in family.names]
    return ours + [n for n in timm.list_models() if n not in ours and n not in ALIASES.values()]


def summary_of_backbones() -> list[dict[str, str]]:
    """A row for each family, and one for the rest."""
    return [
        {
            "family": name,
            "names": ", ".join(family.names),
            "output_strides": ", ".join(map(str, family.output_strides)),
            "stems": ", ".join(family.stems),
            "options": ", ".join(family.options),
            "source": family.source,
        }
        for name, family in {**FAMILIES, "timm": OTHERS}.items()
    ]


def create_backbone(
    name: str,
    *,
    output_stride: int,
    stem: str | None = None,
    first_block: FirstBlock = "contract",
    multi_grid: Sequence[int] | None = None,
    options: Mapping[str, Any] | None = None,
    in_channels: int = 3,
    pretrained: bool | str | os.PathLike[str] = False,
) -> Backbone:
    """Builds a backbone.

    Args:
        name: One of `list_backbones()`.
        output_stride: Input size divided by the deepest feature's size.
        stem: ResNets only; see `resnet.py`.
        first_block: Dilation of a block that lost its stride; see `dilation.py`.
        multi_grid: ResNets only. Factor on the dilation of each block of the last stage.
        options: What only some backbones know, by the names in `FAMILIES`. `norm_eps`: epsilon of
            every batch norm. `dilations`: see `set_dilations`. The others are arguments of the
            backbone's class.
        in_channels: Bands of the images. Weights published for RGB are adapted by the rule of
            `adapt_first_convolution`.
        pretrained: False, True (download) or the path of a local file.

    Raises:
        InputError: An unknown name or option, or something the backbone cannot do.
    """
    if family_of(name) is OTHERS and not timm.is_model(name):
        raise InputError(f"there is no backbone {name!r}; {nearest(name, list_backbones())}")
    pretrained = _checked_pretrained(pretrained)
    options = _checked_options(name, options or {})
    norm_eps = options.pop("norm_eps", None)
    if _is_our_own(name):
        _refuse_dilation_rules(name, stem, first_block, multi_grid)
        backbone = _create_own(name, output_stride, options, in_channels, pretrained)
    else:
        backbone = TimmBackbone(
            name,
            output_stride=output_stride,
            stem=stem,
            first_block=first_block,
            multi_grid=multi_grid,
            in_channels=in_channels,
            pretrained=pretrained,
            **options,
        )
    if norm_eps is not None:
        set_norm_eps(backbone, norm_eps)  # type: ignore[arg-type]
    return backbone


def closest_output_stride(
    name: str, preferred: int, *, options: Mapping[str, Any] | None = None
) -> int:
    """The output stride a backbone runs at where `preferred` is a wish: itself if it can be, else
    the next larger one, else the next smaller.

    Args:
        name: One of `list_backbones()`.
        preferred: 8, 16 or 32.
        options: As in `create_backbone`.

    Returns:
        `preferred` too where nothing else can be built, so that `create_backbone` says why.
    """
    family = family_of(name)

    def is_possible(output_stride: int) -> bool:
        if family is OTHERS or "depth" in (options or {}):
            return _can_be_built(name, output_stride, options)
        return output_stride in family.output_strides

    larger = [stride for stride in ALL_STRIDES if stride > preferred]
    smaller = [stride for stride in reversed(ALL_STRIDES) if stride < preferred]
    strides = (stride for stride in (preferred, *larger, *smaller) if is_possible(stride))
    return next(strides, preferred)


def _can_be_built(name: str, output_stride: int, options: Mapping[str, Any] | None) -> bool:
    """Found without memory for its weights, and without a draw from the global generator."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            create_backbone(name, output_stride=output_stride, options=options)
    except InputError:
        return False
    return True


def set_norm_eps(backbone: nn.Module, eps: float) -> None:
    """Gives every batch norm this epsilon: ports of TensorFlow networks have 0.001.

    Raises:
        InputError: eps is no positive number, or there is no batch norm.
    """
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 < eps < math.inf:
        raise InputError(f"norm_eps {eps!r} must be a positive number, such as 0.001")
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        raise InputError("norm_eps is for batch norm, and this backbone has none; leave it out")
    for norm in norms:
        norm.eps = float(eps)


def family_of(name: str) -> Family:
    """What can be asked of a backbone of this name."""
    if densenet_plan(name) is not None:
        return FAMILIES["DenseNet"]
    return next((family for family in FAMILIES.values() if name in family.names), OTHERS)


def _is_our_own(name: str) -> bool:
    """Whether its dilation is its own affair."""
    own = (FAMILIES[family] for family in ("MobileNetV3", "DRN", "DenseNet", "VGG"))
    return family_of(name) in own


def _checked_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    allowed = family_of(name).options
    for option in options:
        if option not in allowed:
            raise InputError(
                f"{name} has no backbone option {option!r}; {nearest(option, allowed)}"
            )
    for option in BOOLEAN_OPTIONS & options.keys():
        if not isinstance(options[option], bool):
            raise InputError(f"{option} {options[option]!r} must be true or false")
    for option in NUMBER_OPTIONS & options.keys():
        if type(options[option]) not in (int, type(None)):
            raise InputError(f"{option} {options[option]!r} must be a whole number, or null")
    for option in SHARE_OPTIONS & options.keys():
        value = options[option]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise InputError(f"{option} {value!r} must be a number from 0 to below 1, such as 0.1")
    return dict(options)


def _checked_pretrained(pretrained: bool | str | os.PathLike[str]) -> bool | str:
    if isinstance(pretrained, bool):
        return pretrained
    if isinstance(pretrained, str | os.PathLike):
        return str(os.fspath(pretrained))
    raise InputError(
        f"pretrained is {pretrained!r}; give true, false or the path of a weights file"
    )


def _refuse_dilation_rules(
    name: str, stem: str | None, first_block: FirstBlock, multi_grid: Sequence[int] | None
) -> None:
    asked = {
        "stem": stem is not None,
        "first_block": first_block != "contract",
        "multi_grid": multi_grid is not None,
    }
    for option, is_asked in asked.items():
        if is_asked:
            raise InputError(f"{name} has one form; leave {option} out")


def _create_own(
    name: str,
    output_stride: int,
    options: Mapping[str, Any],
    in_channels: int,
    pretrained: bool | str,
) -> Backbone:
    if name == "mobilenet_v3_large":
        return MobileNetV3Large(
            output_stride=output_stride, in_channels=in_channels, pretrained=pretrained
        )
    if name == "drn_a_50":
        return _create_drn_a(output_stride, in_channels, pretrained)
    if name in drn.PLANS:
        backbone = DRN(name, output_stride=output_stride, in_channels=in_channels)
        _load(backbone, name, pretrained, drn.rename_weights, in_channels)
        return backbone
    if name == "vgg16":
        backbone = VGG16(output_stride=output_stride, in_channels=in_channels, **options)
        _load(backbone, name, pretrained, vgg.rename_weights, in_channels)
        return backbone
    backbone = DenseNet(name, output_stride=output_stride, in_channels=in_channels, **options)
    _load(backbone, name, pretrained, densenet.rename_weights, in_channels)
    return backbone


def _create_drn_a(output_stride: int, in_channels: int, pretrained: bool | str) -> TimmBackbone:
    if output_stride != drn.OUTPUT_STRIDE:
        raise InputError(f"drn_a_50 cannot run at output_stride {output_stride}; use 8")
    return TimmBackbone(
        "resnet50",
        output_stride=8,
        first_block="undilated",
        in_channels=in_channels,
        pretrained=pretrained,
    )


def _load(
    backbone: nn.Module,
    name: str,
    pretrained: bool | str,
    rename_weights: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    in_channels: int,
) -> None:
    """Loads a file as its authors published it, or as we save it."""
    if pretrained is False:
        return
    path = pretrained if isinstance(pretrained, str) else _published_file(name)
    weights = rename_weights(read_weights(Path(path)))
    load_published(backbone, weights, source=path, in_channels=in_channels)


def _published_file(name: str) -> str:
    if name in drn.PLANS:
        raise InputError(
            f"the weights of {name} are on no hub; take its authors' file "
            "(https://github.com/fyu/drn) and give model.pretrained its path"
        )
    path = download_weights(name) if timm.is_model(name) else None
    if path is None:
        raise InputError(f"nobody publishes weights of {name}; use pretrained: false")
    return path
