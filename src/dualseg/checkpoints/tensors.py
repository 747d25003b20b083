"""Named tensors as safetensors bytes and back. Nothing here can run code."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from dualseg.core.errors import InputError
from dualseg.core.finite import NOT_FINITE, TOO_LARGE, num_unusable, number_fault

MAX_LISTED = 20

_PICKLES = {b"PK\x03\x04": "a PyTorch zip archive", b"\x80": "a Python pickle"}


def pack_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """The content of a safetensors file. Tensors that share memory are written out one by one."""
    plain: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        address = tensor.untyped_storage().data_ptr()
        plain[name] = tensor.clone() if address in seen else tensor
        seen.add(address)
    return safetensors.torch.save(plain)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, on the CPU, in memory of their own.

    Raises:
        InputError: The file is missing, damaged or of another format.
    """
    try:
        return {name: tensor.clone() for name, tensor in safetensors.torch.load_file(path).items()}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is no whole safetensors file{_guess(path)}: {error}") from None


def require_same_tensors(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, origin: str
) -> None:
    """Names and shapes must agree one to one, and every tensor must hold the kind of numbers the
    network calculates with.

    Floating-point numbers may be of another precision. A counter of batches, which other tools
    write as they please, may have any type as long as it is a whole number.

    Raises:
        InputError: One message that lists what is missing, left over, wrongly shaped and of a
            wrong type.
    """
    problems = [f"missing: {name}" for name in expected if name not in found]
    problems += [f"unexpected: {name}" for name in found if name not in expected]
    problems += [
        f"wrong shape: {name} is {_shape(found[name])}, the network needs {_shape(tensor)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    problems += [
        f"wrong type: {name} is {_type(found[name])}, the network needs {_type(tensor)}"
        for name, tensor in expected.items()
        if name in found and not _converts(found[name], tensor.dtype)
    ]
    if problems:
        raise InputError(
            f"{origin} does not fit the network ({len(problems)} tensors):", shorten(problems)
        )


def require_finite(tensors: Mapping[str, Tensor], *, origin: str) -> None:
    """Refuses NaN, infinity, and numbers that would become infinity as float32.

    Raises:
        InputError: The names of the tensors that hold some.
    """
    faults = {name: number_fault(tensor) for name, tensor in tensors.items()}
    for fault in (NOT_FINITE, TOO_LARGE):
        bad = [
            f"{name}: {num_unusable(tensors[name])} of {tensors[name].numel()} values"
            for name, found in faults.items()
            if found == fault
        ]
        if bad:
            raise InputError(
                f"{origin} holds {fault} and cannot be used; take an earlier checkpoint:",
                shorten(bad),
            )


def shorten(lines: Iterable[str]) -> list[str]:
    """The first twenty lines, and how many more there are."""
    lines = list(lines)
    more = len(lines) - MAX_LISTED
    return lines if more <= 0 else [*lines[:MAX_LISTED], f"and {more} more"]


def _shape(tensor: Tensor) -> str:
    return "x".join(str(size) for size in tensor.shape) or "a single number"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _converts(tensor: Tensor, to: torch.dtype) -> bool:
    """Whether the numbers mean the same in the other type, but for the rounding of fractions."""
    if tensor.dtype == to:
        return True
    if to.is_floating_point or tensor.is_complex() or torch.bool in (tensor.dtype, to):
        return to.is_floating_point and tensor.is_floating_point()
    return torch.equal(tensor.to(to).double(), tensor.double())


def _guess(path: Path) -> str:
    with open(path, "rb") as file:
        start = file.read(4)
    for magic, name in _PICKLES.items():
        if start.startswith(magic):
            return f" (it looks like {name}, which dualseg never opens, since it can run code)"
    return ""
