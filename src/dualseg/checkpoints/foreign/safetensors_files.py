"""safetensors, with the checks that its own reader leaves out."""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
from torch import Tensor

from dualseg.checkpoints.foreign.limits import (
    MAX_DIMENSIONS,
    MAX_HEADER_BYTES,
    MAX_TENSORS,
    RefusalError,
)

ITEM_SIZES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
METADATA = "__metadata__"


def read_header(file: BinaryIO, file_size: int) -> dict[str, Any]:
    """Name -> dtype, shape and place of each tensor; the texts under `__metadata__` too.

    Raises:
        RefusalError: The header is too long or no JSON, a name stands twice, a dtype is none that
            weights have, or tensors overlap, leave holes or end beyond the file.
    """
    file.seek(0)
    (header_size,) = struct.unpack("<Q", file.read(8))
    if header_size > file_size - 8:
        raise RefusalError(f"its header claims {header_size:,} bytes, the file has {file_size:,}")
    if header_size > MAX_HEADER_BYTES:
        raise RefusalError(f"its header has {header_size:,} bytes; far too many")
    try:
        header = json.loads(file.read(header_size), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise RefusalError(f"its header is no JSON ({type(error).__name__})") from None
    if not isinstance(header, dict):
        raise RefusalError("its header is no JSON object")
    _require_exact_cover(header, file_size - 8 - header_size)
    return header


def read_numbers(path: Path) -> dict[str, Tensor]:
    """All tensors of a file whose header has been checked."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise RefusalError(f"it is no whole safetensors file ({error})") from None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, value in pairs:
        if name in content:
            raise RefusalError(f"its header names {name[:100]!r} twice")
        content[name] = value
    return content


def _require_exact_cover(header: Mapping[str, Any], num_bytes: int) -> None:
    """The tensors lie one behind the other, from the header's end to the file's."""
    places = sorted(
        (_place(name, entry) for name, entry in header.items() if name != METADATA),
        key=lambda place: place[:2],
    )
    if len(places) > MAX_TENSORS:
        raise RefusalError(f"it holds more than {MAX_TENSORS:,} tensors")
    end = 0
    for start, stop, name in places:
        if start != end:
            fault = "overlap" if start < end else "leave a hole"
            raise RefusalError(f"its tensors {fault} before {name[:100]!r}")
        end = stop
    if end != num_bytes:
        raise RefusalError(
            f"its tensors take {end:,} bytes, but it holds {num_bytes:,} behind its header"
        )


def _place(name: str, entry: Any) -> tuple[int, int, str]:
    try:
        dtype, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = [*shape, start, stop]
    except (TypeError, KeyError, ValueError):
        raise RefusalError(f"its header describes {name[:100]!r} wrongly") from None
    if dtype not in ITEM_SIZES:
        allowed = ", ".join(ITEM_SIZES)
        raise RefusalError(
            f"{name[:100]!r} has numbers of type {str(dtype)[:20]!r}; allowed: {allowed}"
        )
    if len(shape) > MAX_DIMENSIONS or any(type(n) is not int or n < 0 for n in numbers):
        raise RefusalError(f"{name[:100]!r} has no sensible shape or place")
    if stop - start != math.prod(shape) * ITEM_SIZES[dtype]:
        raise RefusalError(f"{name[:100]!r} has a shape and a place that do not fit each other")
    return start, stop, name
