"""Any timm network that gives features, under our own names and dilation policy."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dualseg.core.errors import InputError, nearest
from dualseg.models.backbones.dilation import (
    FirstBlock,
    apply_multi_grid,
    apply_output_stride,
    probe_strides,
)
from dualseg.models.backbones.features import FeatureInfo

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
ALIASES = {"mobilenet_v2": "mobilenetv2_100"}
DEEP_STEM_WIDTH = {"c": 32, "s": 64}


class TimmBackbone(nn.Module):
    """Features of a timm network, fine to coarse, with declared channels and strides.

    Args:
        name: `resnet18`...`resnet152`, `mobilenet_v2`, or any timm model with features.
        output_stride: Input size divided by the deepest feature's size: 8, 16 or 32.
        stem: ResNets only. "b": 7x7; "c": three 3x3 of width 32, 32, 64; "s": 64, 64, 128.
        first_block: Dilation of the block that lost its stride; see `dilation.py`.
        multi_grid: ResNets only. Factor on the dilation of each block of the last stage.
        pretrained: False, True (timm's default weights, needs a download) or a local file.

    Shape: (B, 3, H, W) -> list of (B, C_i, ceil(H / s_i), ceil(W / s_i)), as `feature_info` says.

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
        pretrained: bool | str = False,
    ):
        super().__init__()
        body = _build(name, stem, download=pretrained is True)
        _check_convolutional(body, name)
        apply_output_stride(body, output_stride, first_block)
        if multi_grid is not None:
            if not hasattr(body, "layer4"):
                raise InputError(f"multi_grid is for ResNets; {name} has no last stage of blocks")
            apply_multi_grid(body.layer4, multi_grid)  # type: ignore[arg-type]
        if isinstance(pretrained, str):
            _load_file(body, Path(pretrained))
        self.body = body
        self.feature_info = _measure(body)
        if self.feature_info[-1].stride != output_stride:
            raise InputError(
                f"{name} cannot run at output_stride {output_stride}; "
                f"its deepest feature has stride {self.feature_info[-1].stride}"
            )

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.body(images))


def list_backbones() -> list[str]:
    """Our own names first, then every timm model that gives features."""
    ours = [*RESNETS, *ALIASES]
    return ours + [n for n in timm.list_models() if n not in ours and n not in ALIASES.values()]


def _build(name: str, stem: str | None, *, download: bool) -> nn.Module:
    timm_name = ALIASES.get(name, name)
    # timm starts the last batch norm of each block at zero; most filters then get no gradient.
    extra: dict[str, Any] = {"zero_init_last": False} if name in RESNETS else {}
    if stem is not None and name not in RESNETS:
        raise InputError(f"stem is for {', '.join(RESNETS)}; {name} has its own, leave it out")
    if stem in DEEP_STEM_WIDTH:
        if download:
            timm_name = f"{name}{stem}"  # their weights stand under a name of their own
        else:
            extra |= {"stem_type": "deep", "stem_width": DEEP_STEM_WIDTH[stem]}
    if not timm.is_model(timm_name):
        if download and stem in DEEP_STEM_WIDTH:
            raise InputError(
                f"nobody publishes {name} weights with stem {stem}; use pretrained: false"
            )
        raise InputError(f"there is no backbone {name!r}; {nearest(name, list_backbones())}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # timm announces its own renames
            return timm.create_model(timm_name, features_only=True, pretrained=download, **extra)
    except (RuntimeError, OSError, ValueError, AttributeError, KeyError) as error:
        if download:
            raise InputError(
                f"the pretrained weights of {name} cannot be had ({_first_line(error)}). Without a "
                "network give model.pretrained the path of a timm .safetensors file, or false to "
                "start from scratch"
            ) from error
        raise InputError(f"timm model {name} gives no features ({_first_line(error)})") from error


def _check_convolutional(body: nn.Module, name: str) -> None:
    try:
        features = body(torch.zeros(1, 3, 64, 96))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{name} does not take images of any size ({_first_line(error)}); use a "
            "convolutional backbone"
        ) from error
    if any(f.ndim != 4 or f.shape[-1] * 2 != f.shape[-2] * 3 for f in features):
        raise InputError(
            f"{name} gives features that are no (B, C, H, W) maps; use a convolutional backbone"
        )


@torch.no_grad()
def _measure(body: nn.Module) -> tuple[FeatureInfo, ...]:
    was_training = body.training
    body.eval()
    features = body(torch.zeros(1, 3, 128, 128))
    body.train(was_training)
    return tuple(FeatureInfo(f.shape[1], 128 // f.shape[-1]) for f in features)


def _load_file(body: nn.Module, path: Path) -> None:
    """Loads a timm (or torchvision ResNet) state dict; only a classifier may be left over."""
    weights = read_weights(path)
    wanted = body.state_dict()
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    missing = sorted(set(wanted) - set(weights) - counters)
    unexpected = sorted(
        k
        for k in set(weights) - set(wanted)
        if not k.startswith(("fc.", "classifier.", "head.", "conv_head.", "bn2."))
    )
    wrong = sorted(k for k in set(weights) & set(wanted) if weights[k].shape != wanted[k].shape)
    if missing or unexpected or wrong:
        problems = [
            f"{len(keys)} {kind}: {', '.join(keys[:5])}{' ...' if len(keys) > 5 else ''}"
            for kind, keys in (
                ("missing", missing),
                ("unexpected", unexpected),
                ("of another shape", wrong),
            )
            if keys
        ]
        raise InputError(f"{path} does not fit this backbone:", problems)
    body.load_state_dict({k: v for k, v in weights.items() if k in wanted}, strict=False)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors file, or of a .pth that holds nothing but tensors.

    Raises:
        InputError: The file is missing, of another kind, or holds more than tensors.
    """
    if not path.is_file():
        raise InputError(f"there is no weights file {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix in (".pth", ".pt", ".bin"):
            weights = torch.load(path, map_location="cpu", weights_only=True)
            if isinstance(weights, dict) and all(isinstance(v, Tensor) for v in weights.values()):
                return weights
            raise InputError(
                f"{path} is no plain state dict; save the tensors alone, as .safetensors"
            )
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, LookupError) as error:
        raise InputError(f"{path} is no readable weights file ({_first_line(error)})") from error
    except Exception as error:  # torch's weights_only reader raises pickle's own error class
        raise InputError(f"{path} holds more than tensors and is refused") from error
    raise InputError(f"{path}: allowed are .safetensors, .pth, .pt and .bin")


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


__all__ = ["TimmBackbone", "list_backbones", "probe_strides", "read_weights"]
