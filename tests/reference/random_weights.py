"""The same random weights for another library's network and for ours, made from names and shapes.

Import it in a test as `from reference.random_weights import randomize`: pytest puts `tests` itself
on the path, since its conftest.py lies there. It needs numpy and torch alone, so that the scripts
that make golden files can use it beside another library.
"""

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn


def random_tensors(shapes: Mapping[str, Sequence[int]], seed: int = 0) -> dict[str, Tensor]:
    """One tensor for each name; it depends on the seed, its name and its shape alone.

    Convolutions keep the variance of what passes, and batch norms have statistics that are not
    those of a new one, so that a wrong order, epsilon or bias shows in the logits.
    """
    return {name: _random_tensor(name, tuple(shape), seed) for name, shape in shapes.items()}


def randomize(model: nn.Module, seed: int = 0) -> None:
    """Gives a network the weights that `random_tensors` makes for its state dict."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict(random_tensors(shapes, seed))


def random_image(size: tuple[int, int], seed: int = 0) -> Tensor:
    """One normal image (1, 3, H, W)."""
    generator = np.random.default_rng([seed, *size])
    return torch.from_numpy(generator.standard_normal((1, 3, *size), dtype=np.float32))


def _random_tensor(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    last = name.rpartition(".")[2]
    if last == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    values = _draw(generator, last, shape)
    return torch.from_numpy(np.asarray(values, dtype=np.float32).reshape(shape))


def _draw(generator: np.random.Generator, last: str, shape: tuple[int, ...]) -> np.ndarray:
    is_weight = last == "weight"
    if is_weight and len(shape) >= 2:
        fan_in = math.prod(shape[1:])
        return generator.normal(0.0, math.sqrt(2 / fan_in), shape)
    if last == "running_var" or (is_weight and len(shape) == 1 and shape != (1,)):
        return generator.uniform(0.5, 1.5, shape)
    if last in ("bias", "running_mean") or math.prod(shape) != 1:
        return generator.normal(0.0, 0.1, shape)
    return np.full(shape, 0.5)  # the scale of an attention, such as `gamma`
