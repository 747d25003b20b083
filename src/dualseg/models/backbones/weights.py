"""Published backbone weights: from a local file, or from the hub if it answers."""

import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from pathlib import Path
from zipfile import is_zipfile

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.core.finite import NOT_FINITE, TOO_LARGE, number_fault
from dualseg.models.backbones.efficientnet_names import (
    has_their_names,
    pads_as_tensorflow,
    with_timm_names,
)

HUB_ANSWER_SECONDS = 5.0
HUB_FILE = "model.safetensors"
PICKLE_START = b"\x80"  # of every torch file that is no zip archive


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors file, or of a .pth that holds nothing but tensors.

    Raises:
        InputError: The file is missing, of another kind, or holds more than tensors.
    """
    if not path.is_file():
        raise InputError(f"there is no weights file {path}")
    if path.suffix not in (".safetensors", ".pth", ".pt", ".bin"):
        raise InputError(f"{path}: allowed are .safetensors, .pth, .pt and .bin")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, LookupError) as error:
        raise InputError(f"{path} is no readable weights file ({first_line(error)})") from error
    except Exception as error:  # torch's weights_only reader raises pickle's own error class
        with path.open("rb") as file:
            is_torchs = file.read(1) == PICKLE_START or is_zipfile(path)
        if not is_torchs:
            raise InputError(
                f"{path} is no weights file; it may be a web page or the pointer that Git LFS "
                "leaves in a file's place: download it anew"
            ) from error
        raise InputError(f"{path} holds more than tensors and is refused") from error
    if isinstance(weights, dict) and all(isinstance(v, Tensor) for v in weights.values()):
        return dict(weights)
    raise InputError(f"{path} is no plain state dict; save the tensors alone, as .safetensors")


def load_published(
    body: nn.Module, weights: Mapping[str, Tensor], *, source: str, in_channels: int = 3
) -> None:
    """Loads a state dict of timm, of torchvision's ResNets or of EfficientNet-PyTorch; only a
    classifier may be left over.

    timm's feature extractors rename what they wrap (`stages.0` becomes `stages_0`, or everything
    moves below `model`); names as published and names as wrapped are both taken.

    Args:
        body: What the weights are for.
        weights: Tensors by name.
        source: The file, for messages.
        in_channels: Bands of the images; see `adapt_first_convolution`.

    Raises:
        InputError: Tensors are missing, of another shape, no fractions or no finite float32,
            or belong to another network.
    """
    wanted = body.state_dict()
    if has_their_names(weights):
        if not pads_as_tensorflow(body):
            raise InputError(
                f"{source} holds an EfficientNet under the names of EfficientNet-PyTorch, which "
                "pads as TensorFlow does; it is for the backbones tf_efficientnet_..."
            )
        weights = with_timm_names(weights, wanted)
    names = {key: _published_name(key, weights) for key in wanted}
    found = {key: weights[name] for key, name in names.items() if name is not None}
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    no_fractions = sorted(
        k for k in found if k not in counters and not found[k].is_floating_point()
    )
    faults = {key: number_fault(tensor) for key, tensor in found.items()}
    not_finite, too_large = (
        sorted(key for key in found if faults[key] == fault) for fault in (NOT_FINITE, TOO_LARGE)
    )
    found = adapt_first_convolution(found, wanted, in_channels)
    missing = sorted(set(wanted) - set(found) - counters)
    used = {name for name in names.values() if name is not None}
    parts = {name.partition(".")[0] for name in used}
    # What stands beside the network's own parts is a classifier; what stands within one is not.
    unexpected = sorted(k for k in set(weights) - used if k.partition(".")[0] in parts)
    wrong = sorted(key for key in found if found[key].shape != wanted[key].shape)
    problems = [
        f"{len(keys)} {kind}: {', '.join(keys[:5])}{' ...' if len(keys) > 5 else ''}"
        for kind, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", wrong),
            ("no floating-point numbers", no_fractions),
            (f"with {NOT_FINITE}", not_finite),
            (f"with {TOO_LARGE}", too_large),
        )
        if keys
    ]
    if problems:
        raise InputError(f"{source} does not fit this backbone:", problems)
    body.load_state_dict(found, strict=False)


def adapt_first_convolution(
    weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor], in_channels: int
) -> dict[str, Tensor]:
    """Weights for RGB, made to fit images of another number of bands.

    One band takes the sum over red, green and blue, so that a gray image gives what it gave in
    RGB. Other numbers repeat the three in turn and multiply them by 3 / in_channels, so that the
    sums stay of the same size. A filter that has `in_channels` bands already is left alone.

    Args:
        weights: Tensors by name.
        wanted: The network's own, whose shapes count.
        in_channels: Bands of the images.

    Source: timm's `adapt_input_conv`, which does the same to what timm downloads.
    """
    if in_channels == 3:
        return dict(weights)

    def is_first(name: str) -> bool:
        have, want = tuple(weights[name].shape), tuple(wanted[name].shape)
        is_rgb = len(have) == 4 and have[1] == 3
        return is_rgb and want == (have[0], in_channels, *have[2:])

    return {
        name: adapt_input_conv(in_channels, tensor) if is_first(name) else tensor
        for name, tensor in weights.items()
    }


def download_weights(timm_name: str) -> str | None:
    """The file of timm's default weights, from the hub or from the cache of an earlier download.

    Returns:
        Its path, or None where the weights are no .safetensors file on the hub.

    Raises:
        InputError: timm has no weights of this name, or the hub does not answer.
    """
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError

    config = timm.get_pretrained_cfg(timm_name)
    if config is None or not config.has_weights:
        raise InputError(f"nobody publishes weights of {timm_name}; use pretrained: false")
    if not config.hf_hub_id or config.custom_load:
        return None
    cached = try_to_load_from_cache(config.hf_hub_id, HUB_FILE)
    if isinstance(cached, str):
        return cached
    if not _answers(constants.ENDPOINT):
        raise InputError(no_weights(timm_name, f"{constants.ENDPOINT} does not answer"))
    try:
        return hf_hub_download(config.hf_hub_id, HUB_FILE)
    except EntryNotFoundError:
        return None
    except Exception as error:  # of the hub's client, or the network below it
        raise InputError(no_weights(timm_name, first_line(error))) from error


def no_weights(name: str, reason: str) -> str:
    """What to do where a download failed."""
    return (
        f"the pretrained weights of {name} cannot be had ({reason}). Without a network give "
        "model.pretrained the path of a .safetensors file, or false to start from scratch"
    )


def first_line(error: Exception) -> str:
    """Enough of another library's message to go on with."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


def _published_name(key: str, published: Collection[str]) -> str | None:
    """The name under which a tensor of a wrapped network was published."""
    top, _, rest = key.partition(".")
    first, last = top.replace("_", ".", 1), ".".join(top.rsplit("_", 1))
    candidates = (key, f"{first}.{rest}", f"{last}.{rest}", rest)
    return next((name for name in candidates if name in published), None)


def _answers(address: str) -> bool:
    """Whether anything answers there; the hub's own client would retry for most of a minute."""
    request = urllib.request.Request(address, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=HUB_ANSWER_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        # A certificate that only the hub's client trusts is an answer too.
        return "CERTIFICATE" in str(error.reason).upper()
    except OSError:
        return False
