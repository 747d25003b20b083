"""What stood beside the weights, as numbers, texts, lists and dictionaries."""

import struct
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from dualseg.checkpoints.foreign.limits import MAX_DEPTH, MAX_VALUES, RefusalError
from dualseg.checkpoints.foreign.pickle_values import Named, Skipped
from dualseg.checkpoints.foreign.records import Inert, StorageRecord, TensorRecord

MAX_ARRAY = 4096  # numbers of a numpy array that are shown, such as a palette's
NUMPY_LAYOUTS = {
    "f8": "d",
    "f4": "f",
    "f2": "e",
    "i8": "q",
    "i4": "i",
    "i2": "h",
    "i1": "b",
    "u8": "Q",
    "u4": "I",
    "u2": "H",
    "u1": "B",
    "b1": "?",
}


class PlainValues:
    """Turns content into plain values; one for each file, so that it can count.

    Raises:
        RefusalError: Something is nested too deep, or there is too much of it.
    """

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, value: Any, depth: int = 0) -> Any:
        self.seen += 1
        if depth > MAX_DEPTH:
            raise RefusalError(f"it holds something nested deeper than {MAX_DEPTH} levels")
        if self.seen > MAX_VALUES:
            raise RefusalError(f"it holds more than {MAX_VALUES:,} values beside its weights")
        if isinstance(value, TensorRecord | StorageRecord):
            return "<tensor>"
        if isinstance(value, Skipped):
            return f"<{value.num_bytes:,} bytes>"
        if isinstance(value, Named):
            return value.name
        if isinstance(value, Inert):
            return self._inert(value, depth)
        if isinstance(value, Mapping):
            return {str(key): self(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self(item, depth + 1) for item in value]
        if isinstance(value, bytes):
            self.seen += len(value) // 64  # since one of them may be referred to again and again
            return value.decode("latin-1")
        return value

    def _inert(self, value: Inert, depth: int) -> Any:
        if value.name == "numpy._core.multiarray.scalar":
            return _numpy_scalar(value)
        if value.name == "numpy._core.multiarray._reconstruct":
            array = _numpy_array(value)
            self.seen += MAX_ARRAY // 8 if isinstance(array, list) else 0
            return array
        if value.mapping:
            return self(value.mapping, depth + 1)
        if value.items:
            return self(value.items, depth + 1)
        if isinstance(value.state, Mapping):
            return self(value.state, depth + 1)
        if value.name.startswith("pathlib."):
            return _path(value)
        if value.name in ("builtins.set", "builtins.frozenset", "collections.Counter"):
            return self(value.arguments[0], depth + 1) if value.arguments else []
        return f"<{value.name}>"


def _path(value: Inert) -> str:
    parts = [part for part in value.arguments if isinstance(part, str) and len(part) < MAX_ARRAY]
    return str(PurePosixPath(*parts[:MAX_DEPTH]))


def _numpy_scalar(value: Inert) -> Any:
    """`numpy.core.multiarray.scalar(dtype, bytes)`."""
    content = value.arguments[1] if len(value.arguments) == 2 else None
    if isinstance(content, bytes) and len(content) <= 8:
        numbers = _numbers(value.arguments[0], content)
        if len(numbers) == 1:
            return numbers[0]
    return "<numpy number>"


def _numpy_array(value: Inert) -> Any:
    """An array's state is (version, shape, dtype, is_fortran, bytes)."""
    state = value.state
    if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[4], bytes):
        return "<numpy array>"
    _, shape, dtype, is_fortran, content = state
    numbers = _numbers(dtype, content) if len(content) <= 8 * MAX_ARRAY else []
    if not numbers or is_fortran or not isinstance(shape, tuple):
        return "<numpy array>"
    return _nest(numbers, shape)


def _numbers(dtype: Any, content: bytes) -> list[Any]:
    """The numbers that some bytes are; none where the dtype is no plain number."""
    if not isinstance(dtype, Inert) or dtype.name != "numpy.dtype" or not dtype.arguments:
        return []
    order = dtype.state[1] if isinstance(dtype.state, tuple) and len(dtype.state) > 1 else "<"
    layout = NUMPY_LAYOUTS.get(str(dtype.arguments[0])[:4].lstrip("<|="))
    if layout is None or order == ">" or len(content) % struct.calcsize("<" + layout):
        return []
    return [number for (number,) in struct.iter_unpack("<" + layout, content)]


def _nest(numbers: list[Any], shape: tuple[int, ...]) -> Any:
    for size in reversed(shape[1:]):
        if type(size) is not int or size < 1 or len(numbers) % size:
            return "<numpy array>"
        numbers = [numbers[i : i + size] for i in range(0, len(numbers), size)]
    return numbers
