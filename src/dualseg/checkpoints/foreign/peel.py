"""Finds the one state dict in whatever a training program wrote around it."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from dualseg.checkpoints.foreign.limits import (
    MAX_DEPTH,
    MAX_NAME,
    MAX_PARTS,
    RefusalError,
    printable,
)
from dualseg.checkpoints.foreign.records import TensorRecord
from dualseg.core.errors import first_few

# Keys under which programs keep their weights, the better first. Averaged weights come before the
# raw ones, except mmengine's, which swaps the two when it saves.
AVERAGED = ("state_dict_ema", "ema_state_dict", "model_ema", "params_ema")
CONTAINERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "network_weights",
    "train_model_state_dict",
    "model",
    "net",
    "network",
    "weights",
    "module",
    "params",
)
NO_WEIGHTS = re.compile(r"optim|sched|scaler|^ema|_ema|rng|loss|metric", re.IGNORECASE)
PREFIXES = (
    "module.",
    "_orig_mod.",
    "ema_model.",
    "ema.",
    "student.",
    "segmentor.",
    "network.",
    "net.",
    "model.",
)
COMPILED = "_orig_mod."
# What a wrapper keeps beside its network, by the first part of the name: parts of the loss and of
# the score; and, where it is a tensor of the wrapper's own, counters, class weights and the images'
# mean and deviation.
PARTS_BESIDE = re.compile(
    r"(^|_)(loss|losses|criterion|criteria|metrics?|m?iou|jaccard|confmat|accuracy|acc|dice|f1)"
    r"(_|\d|$)",
    re.IGNORECASE,
)
TENSORS_BESIDE = re.compile(r"n_averaged|initted|step|(\w+_)?(mean|std|weights?)")
MAX_SHOWN = 12


class Peeled(NamedTuple):
    """A flat state dict, what stood around it, and how it was found."""

    tensors: dict[str, Any]
    rest: dict[str, Any]
    notes: tuple[str, ...]


def peel(content: Any) -> Peeled:
    """Opens containers and takes off prefixes until nothing changes.

    Args:
        content: What a file holds: nested mappings with tensors, or records of them, as values.

    Raises:
        RefusalError: There are no named tensors in it.
    """
    notes: list[str] = []
    rest: dict[str, Any] = {}
    has_tensors = _TensorFinder()
    for _ in range(MAX_DEPTH):
        if not isinstance(content, Mapping):
            raise RefusalError(f"it holds {_describe(content)}, not named tensors")
        key = _container(content, has_tensors)
        if key is None:
            break
        notes.append(f"took the weights under {key!r}")
        rest = {k: v for k, v in content.items() if k != key} | rest
        content = content[key]
    tensors, others = _split(content, has_tensors, notes)
    rest = others | rest
    if not tensors:
        keys = ", ".join(printable(str(key)) for key in list(content)[:MAX_SHOWN]) or "nothing"
        raise RefusalError(f"there are no named tensors in it, only: {keys}")
    for name in tensors:
        if len(name) > MAX_NAME or not name.isprintable():
            raise RefusalError(f"a tensor's name is no name: {printable(name)}")
    return Peeled(_without_prefixes(tensors, notes), rest, tuple(notes))


class _TensorFinder:
    """Whether something is a mapping with tensors, in itself or in a container inside it.

    It remembers its answers, since a file may hold one large mapping under many names.
    """

    def __init__(self) -> None:
        self.known: dict[int, bool] = {}

    def __call__(self, value: Any, depth: int = 0) -> bool:
        if not isinstance(value, Mapping) or depth > MAX_DEPTH:
            return False
        if id(value) not in self.known:
            self.known[id(value)] = False  # so that a mapping inside itself ends the search
            self.known[id(value)] = any(map(_is_tensor, value.values())) or any(
                self(value.get(key), depth + 1) for key in CONTAINERS
            )
        return self.known[id(value)]


def _container(content: Mapping[Any, Any], has_tensors: _TensorFinder) -> str | None:
    """The key whose value holds the weights; None where this is the state dict."""
    swaps = "message_hub" in content or _is_of_mmengine(content.get("meta"))
    averaged = () if swaps else AVERAGED
    for key in (*averaged, *CONTAINERS):
        if has_tensors(content.get(key)):
            return key
    if any(map(_is_tensor, content.values())):
        return None
    inner = _parts(content, has_tensors)
    return inner[0] if len(inner) == 1 else None


def _parts(content: Mapping[Any, Any], has_tensors: _TensorFinder) -> list[Any]:
    """Keys of mappings with tensors that are no optimiser's or the like."""
    parts = [k for k, v in content.items() if has_tensors(v) and not NO_WEIGHTS.search(str(k))]
    if len(parts) > MAX_PARTS:
        raise RefusalError(f"it keeps more than {MAX_PARTS} networks side by side")
    return parts


def _split(
    content: Mapping[Any, Any], has_tensors: _TensorFinder, notes: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors by dotted name, and everything else; networks kept part by part are joined."""
    tensors = {str(key): value for key, value in content.items() if _is_tensor(value)}
    parts = [] if tensors else _parts(content, has_tensors)
    for key in parts:
        notes.append(f"joined the part {str(key)[:40]!r}")
        part = content[key].items()
        tensors |= {f"{key}.{name}": item for name, item in part if _is_tensor(item)}
    others = {k: v for k, v in content.items() if not _is_tensor(v) and k not in parts}
    return tensors, {str(key): value for key, value in others.items()}


def _without_prefixes(tensors: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    while True:
        network = {name: value for name, value in tensors.items() if not _is_beside(name)}
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in network)), None)
        if prefix is None or not network:
            break
        notes.append(f"took off the prefix {prefix!r}")
        beside = first_few([repr(name) for name in tensors if name not in network], MAX_SHOWN)
        if beside:
            notes.append(f"left out what stood beside the network: {', '.join(beside)}")
        tensors = {name.removeprefix(prefix): value for name, value in network.items()}
    if any(COMPILED in name for name in tensors):
        notes.append(f"took {COMPILED!r} out of names")
        renamed = {name.replace(COMPILED, ""): value for name, value in tensors.items()}
        if len(renamed) == len(tensors):
            tensors = renamed
    return tensors


def _is_beside(name: str) -> bool:
    first, dot, _ = name.partition(".")
    return bool(PARTS_BESIDE.search(first) if dot else TENSORS_BESIDE.fullmatch(first))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, TensorRecord | Tensor)


def _is_of_mmengine(meta: Any) -> bool:
    return isinstance(meta, Mapping) and any("mmengine" in str(key) for key in meta)


def _describe(content: Any) -> str:
    if _is_tensor(content):
        return "a single tensor"
    name = getattr(content, "name", None) or type(content).__name__
    return f"an object of type {str(name)[:100]}"
