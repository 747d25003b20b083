"""Loops compiled by numba, which is used where it is installed: it follows a new CPython late."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])


@cache
def can_compile() -> bool:
    """Whether numba is there. Every caller has another way to the same numbers."""
    return find_spec("numba") is not None


def compiled(function: Function, signature: str | None = None) -> Function:
    """The function, compiled without Python's lock.

    At once for the types of `signature`, or else at its first call for those it meets.

    The machine code is kept on disk; where nothing can be written it is made anew in every process.

    Raises:
        ImportError: numba is not installed; ask `can_compile` first.
    """
    import numba

    try:
        return numba.njit(signature, nogil=True, cache=True)(function)  # type: ignore[return-value]
    except (RuntimeError, OSError):  # no folder to keep it in
        return numba.njit(signature, nogil=True)(function)  # type: ignore[return-value]
