"""Any timm network that gives features, under our own names and dilation policy."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import timm
from torch import Tensor, nn

from dualseg.core.errors import InputError, nearest
from dualseg.models.backbones.any_size import (
    MISFITS,
    dynamic_size_options,
    find_multiple,
    find_smallest,
    measure,
    padded_features,
    probe_size,
    small_features,
)
from dualseg.models.backbones.dilation import (
    FirstBlock,
    apply_multi_grid,
    apply_output_stride,
)
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.backbones.listed_dilations import set_dilations
from dualseg.models.backbones.mobilenet_v2 import (
    leave_stem_unpadded,
    move_padding_before_expansion,
)
from dualseg.models.backbones.resnet import (
    RESNETS,
    STEMS,
    StrideOn,
    round_pooling_up,
    stride_on_first_1x1,
)
from dualseg.models.backbones.weights import (
    download_weights,
    first_line,
    load_published,
    no_weights,
    read_weights,
)

ALIASES = {"mobilenet_v2": "mobilenetv2_100"}


class TimmBackbone(nn.Module):
    """Features of a timm network, fine to coarse, with declared channels and strides.

    Transformers take images of any size too: the image is padded with zeros to what the network
    needs and the features are cropped. So is an image too small for a network. A plain ViT gives
    its last three blocks' maps, all at the stride of its patches, before the final norm.

    Args:
        name: `resnet18`...`resnet152`, `mobilenet_v2`, or any timm model with features.
        output_stride: Input size divided by the deepest feature's size: 8, 16 or 32.
        stem: ResNets only: "b", "c", "d", "s" or "e"; see `resnet.py`.
        first_block: Dilation of the block that lost its stride; see `dilation.py`.
        multi_grid: ResNets only. Factor on the dilation of each block of the last stage.
        ceil_pool: ResNets only. The stem's max pooling rounds sizes up (CCNet, OCNet, DeepLab v2).
        stride_on: ResNets with bottlenecks only. "1x1" is the Caffe style of DeepLab v2.
        pad_before_expand: MobileNetV2 only; see `mobilenet_v2.py`.
        pad_stem: MobileNetV2 only; False as in VainF's port, see `mobilenet_v2.py`.
        dilations: Of single convolutions by their names, and 1 for all others, whatever the rules
            above give; see `set_dilations`.
        depth: Keep so many features and no layer behind them (3: the PSPNet of
            segmentation_models_pytorch); all where not given.
        drop_path_rate: Stochastic depth: the probability, from 0 to below 1, with which an image
            skips the last residual block in training; that of the blocks before it grows up to it
            from 0 (Huang et al. 2016, arXiv:1603.09382). Refused where there are none.
        in_channels: Bands of the images; see `weights.adapt_first_convolution`.
        pretrained: False, True (timm's default weights, needs a download) or a local file.

    Shape: (B, C, H, W) -> list of (B, C_i, ceil(H / s_i), ceil(W / s_i)), as `feature_info` says;
        with `ceil_pool` up to one row and column more, with `pad_stem=False` up to one less.

    Raises:
        InputError: Unknown name, an impossible combination, or weights that cannot be had.

    Source: `timm`, https://github.com/huggingface/pytorch-image-models (Apache-2.0).
    """

    def __init__(
        self,
        name: str,
        *,
        output_stride: int = 32,
        stem: str | None = None,
        first_block: FirstBlock = "contract",
        multi_grid: Sequence[int] | None = None,
        ceil_pool: bool = False,
        stride_on: StrideOn = "3x3",
        pad_before_expand: bool = False,
        pad_stem: bool = True,
        dilations: Mapping[str, int] | None = None,
        depth: int | None = None,
        drop_path_rate: float = 0.0,
        in_channels: int = 3,
        pretrained: bool | str = False,
    ):
        super().__init__()
        body = _build(
            name,
            stem,
            published=pretrained is True,
            in_channels=in_channels,
            drop_path_rate=drop_path_rate,
        )
        _check_resnet(body, name, multi_grid=multi_grid, ceil_pool=ceil_pool, stride_on=stride_on)
        _check_mobilenet(name, pad_before_expand=pad_before_expand, pad_stem=pad_stem)
        if depth is not None:
            _shorten(body, name, depth)
        if stride_on == "1x1":
            stride_on_first_1x1(body, name)
        self.multiple, info = find_multiple(body, name, _own_size(body), in_channels)
        if info[-1].stride > output_stride:
            info = _dilate(body, name, output_stride, first_block, self.multiple, in_channels)
        if info[-1].stride != output_stride:
            raise InputError(
                f"{name} cannot run at output_stride {output_stride}; "
                f"its deepest feature has stride {info[-1].stride}, use that"
            )
        self.feature_info = info
        self.smallest = find_smallest(body, self.multiple, in_channels)
        self.auxiliary_index = -min(2, len(self.feature_info))
        if multi_grid is not None:
            if not hasattr(body, "layer4"):
                raise InputError(f"depth {depth} cuts off the stage that multi_grid is for")
            apply_multi_grid(body.layer4, multi_grid)  # type: ignore[arg-type]
        if dilations is not None:
            set_dilations(body, dilations)
        # The rest shifts borders or sizes by one, so it follows everything that measures sizes.
        if ceil_pool:
            round_pooling_up(body)
        if pad_before_expand:
            move_padding_before_expansion(body)
        if not pad_stem:
            leave_stem_unpadded(body)
        if isinstance(pretrained, str):
            weights = read_weights(Path(pretrained))
            load_published(body, weights, source=pretrained, in_channels=in_channels)
        self.body = body

    def forward(self, images: Tensor) -> list[Tensor]:
        if self.smallest > 1 and min(images.shape[-2:]) < self.smallest:
            return small_features(
                self.body, images, self.multiple, self.smallest, self.feature_info
            )
        return padded_features(self.body, images, self.multiple)


def _build(
    name: str, stem: str | None, *, published: bool, in_channels: int, drop_path_rate: float
) -> nn.Module:
    timm_name, extra = _timm_name(name, stem, published=published)
    if not timm.is_model(timm_name):
        raise InputError(
            f"there is no backbone {name!r}; {nearest(name, [*ALIASES, *timm.list_models()])}"
        )
    if name in RESNETS:
        # timm starts the last batch norm of each block at zero; most filters then get no gradient.
        extra |= {"zero_init_last": False}
    extra |= dynamic_size_options(timm_name)
    if drop_path_rate:
        extra |= {"drop_path_rate": drop_path_rate}
    if in_channels != 3:
        extra |= {"in_chans": in_channels}
    if published:
        path = download_weights(timm_name)
        if path is not None:
            extra |= {"pretrained_cfg_overlay": {"file": path}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # timm announces its own renames
            return timm.create_model(timm_name, features_only=True, pretrained=published, **extra)
    except Exception as error:  # of timm, the hub's client, or the network below it
        if "drop_path_rate" in str(error):
            raise InputError(
                f"{name} has no residual blocks that could be skipped; leave drop_path_rate out"
            ) from error
        if published:
            raise InputError(no_weights(name, first_line(error))) from error
        raise InputError(f"timm model {name} gives no features ({first_line(error)})") from error


def _timm_name(name: str, stem: str | None, *, published: bool) -> tuple[str, dict[str, Any]]:
    """timm's name for it, and the arguments that make its stem."""
    if stem is None:
        return ALIASES.get(name, name), {}
    if name not in RESNETS:
        raise InputError(f"stem is for {', '.join(RESNETS)}; {name} has its own, leave it out")
    if stem not in STEMS:
        raise InputError(f"there is no stem {stem!r}; {nearest(stem, STEMS)}")
    if not published:
        return name, dict(STEMS[stem])
    timm_name = name if stem == "b" else f"{name}{stem}"  # their weights have names of their own
    if not timm.is_model(timm_name):
        raise InputError(f"nobody publishes {name} weights with stem {stem}; use pretrained: false")
    return timm_name, {}


def _check_resnet(
    body: nn.Module,
    name: str,
    *,
    multi_grid: Sequence[int] | None,
    ceil_pool: bool,
    stride_on: StrideOn,
) -> None:
    if stride_on not in get_args(StrideOn):
        raise InputError(f"stride_on {stride_on!r} is unknown; use 3x3 or 1x1")
    asked = {
        "multi_grid": multi_grid is not None,
        "ceil_pool": ceil_pool,
        "stride_on": stride_on != "3x3",
    }
    for option, is_asked in asked.items():
        if is_asked and not hasattr(body, "layer1"):
            raise InputError(f"{option} is for ResNets; {name} is none, leave it out")


def _check_mobilenet(name: str, *, pad_before_expand: bool, pad_stem: bool) -> None:
    asked = {"pad_before_expand": pad_before_expand, "pad_stem": not pad_stem}
    for option, is_asked in asked.items():
        if is_asked and not ALIASES.get(name, name).startswith("mobilenetv2_"):
            raise InputError(f"{option} is for mobilenet_v2; leave it out with {name}")


def _shorten(body: nn.Module, name: str, depth: int) -> None:
    """Removes every layer behind the `depth`-th feature."""
    returned = getattr(body, "return_layers", None)
    if not isinstance(body, nn.ModuleDict) or not isinstance(returned, dict):
        raise InputError(f"{name} cannot be cut short; set depth to null")
    if not 1 <= depth <= len(returned):
        raise InputError(f"depth {depth}: {name} gives 1 to {len(returned)} features")
    kept = list(returned.items())[:depth]
    layers = list(body.keys())
    for layer in layers[layers.index(kept[-1][0]) + 1 :]:
        del body[layer]
    body.return_layers = dict(kept)  # type: ignore[assignment]


def _own_size(body: nn.Module) -> int:
    """Side of the images it was trained on."""
    return max(body.default_cfg["input_size"][-2:])  # type: ignore[index,union-attr]


def _dilate(
    body: nn.Module,
    name: str,
    output_stride: int,
    first_block: FirstBlock,
    multiple: int,
    in_channels: int,
) -> tuple[FeatureInfo, ...]:
    """Brings `body` to `output_stride` and measures what it gives then."""
    try:
        apply_output_stride(
            body,
            output_stride,
            first_block,
            probe_size=probe_size(multiple),
            in_channels=in_channels,
        )
        return measure(body, multiple, in_channels)
    except InputError:
        raise
    except MISFITS as error:
        raise InputError(
            f"{name} cannot run at output_stride {output_stride} ({first_line(error)})"
        ) from error
