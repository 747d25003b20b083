"""What is left of a foreign file: named tensors and plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class ForeignCheckpoint:
    """The state dict of a foreign file, unwrapped, with whatever plain values stood beside it.

    Args:
        path: The file, or the folder it was named by.
        sha256: Of the weights file.
        container: How it is packed: "safetensors", "torch zip" or "torch legacy".
        tensors: The state dict, dense tensors of numbers on the CPU, after peeling.
        meta: Everything beside the weights as plain values (numbers, texts, lists, dicts): for
            mmsegmentation `meta["meta"]["CLASSES"]`, for smp the content of `config.json`.
        notes: What was unwrapped, peeled or left out, a line each.
    """

    path: Path
    sha256: str
    container: str
    tensors: Mapping[str, Tensor]
    meta: Mapping[str, Any]
    notes: tuple[str, ...] = ()
