"""Golden files: what another library's network answered, small enough to be kept beside the tests.

A file holds no weights: names and shapes of the network's tensors say which ones
`random_tensors(shapes)` makes, and `random_image(size)` makes the image of each size.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

MAX_VALUES = 4000
MAX_RELATIVE_ERROR = 1e-4
MIN_AGREEMENT = 0.9999

Size = tuple[int, int]


class Sample(NamedTuple):
    """What is kept of one answer: its shape, every `step`-th value, the label of every pixel."""

    shape: tuple[int, ...]
    values: Tensor
    labels: Tensor
    largest: float


class Golden(NamedTuple):
    """A golden file: tensors by name, an answer for each size (H, W), and how it was made."""

    shapes: dict[str, tuple[int, ...]]
    outputs: dict[Size, Sample]
    description: str


def save_golden(
    path: Path,
    shapes: Mapping[str, Sequence[int]],
    outputs: Mapping[Size, Tensor],
    description: str,
) -> None:
    """Writes the file; `outputs` are logits (1, K, H, W) for images of the given sizes."""
    arrays = {
        "shapes": _as_bytes(json.dumps({name: list(shape) for name, shape in shapes.items()})),
        "description": _as_bytes(description),
    }
    for (height, width), logits in outputs.items():
        name = f"{height}x{width}"
        arrays[f"{name}/shape"] = np.array(logits.shape, dtype=np.int64)
        arrays[f"{name}/values"] = _subsample(logits).numpy()
        arrays[f"{name}/labels"] = logits.argmax(1).to(torch.uint8).numpy()
        arrays[f"{name}/largest"] = np.array(logits.abs().max().item(), dtype=np.float64)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def load_golden(path: Path) -> Golden:
    with np.load(path, allow_pickle=False) as file:
        shapes = json.loads(file["shapes"].tobytes().decode())
        outputs = {
            _as_size(name): Sample(
                shape=tuple(file[f"{name}/shape"].tolist()),
                values=torch.from_numpy(file[f"{name}/values"]),
                labels=torch.from_numpy(file[f"{name}/labels"]).long(),
                largest=float(file[f"{name}/largest"]),
            )
            for name in sorted({key.partition("/")[0] for key in file.files if "/" in key})
        }
        description = file["description"].tobytes().decode()
    return Golden({name: tuple(shape) for name, shape in shapes.items()}, outputs, description)


def compare(logits: Tensor, sample: Sample) -> None:
    """Asserts that logits are those of the sample.

    No value differs by more than 1e-4 of the largest logit, and the arg-max is the same on at
    least 99.99 % of the pixels.
    """
    assert tuple(logits.shape) == sample.shape
    error, agreement = difference(logits, sample)
    assert error <= MAX_RELATIVE_ERROR, f"logits differ by {error:.2e} of the largest"
    assert agreement >= MIN_AGREEMENT, f"only {agreement:.2%} of the pixels have the same label"


def difference(logits: Tensor, sample: Sample) -> tuple[float, float]:
    """Largest difference as a share of the largest logit, and share of pixels with one arg-max."""
    error = (_subsample(logits) - sample.values).abs().max().item() / sample.largest
    agreement = (logits.argmax(1) == sample.labels).double().mean().item()
    return error, agreement


def _subsample(logits: Tensor) -> Tensor:
    """Every `step`-th value; the step is prime and no divisor of a side, so that all columns,
    rows and classes are met.
    """
    flat = logits.detach().flatten().float()
    step = -(-flat.numel() // MAX_VALUES)
    while not _is_prime(step) or any(side % step == 0 for side in logits.shape[1:]):
        step += 1
    return flat[::step].clone()


def _is_prime(number: int) -> bool:
    return number >= 2 and all(number % i for i in range(2, int(number**0.5) + 1))


def _as_bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _as_size(name: str) -> Size:
    height, width = name.split("x")
    return int(height), int(width)
