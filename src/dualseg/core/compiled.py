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


def compiled(function: Function) -> Function:
    """The function, compiled at its first call for the types it meets, without Python's lock.

    The machine code is kept on disk; where nothing can be written it is made anew in every process.

    Raises:
        ImportError: numba is not installed; ask `can_compile` first.
    """
    import numba

    try:
        return numba.njit(nogil=True, cache=True)(function)  # type: ignore[return-value]
    except RuntimeError:  # no folder to keep it in
        return numba.njit(nogil=True)(function)  # type: ignore[return-value]
