"""What a pickle's names and long texts become, and what may be a key."""

from collections.abc import Callable
from typing import Any, NamedTuple

from dualseg.checkpoints.foreign.limits import RefusalError

MAX_KEY = 200  # letters of a name, or of a part of a key that is a tuple
LARGEST_KEY = 1 << 60  # larger whole numbers could be chosen so that all of them collide


class Named(NamedTuple):
    """What a pickle may call: a name, and our own function that stands in for what it means."""

    name: str
    build: Callable[..., Any]


class Skipped(NamedTuple):
    """A text or byte string too long to be worth reading: a log, never a weight."""

    num_bytes: int


def as_key(key: Any) -> Any:
    """A dictionary key that is cheap to look up, whatever the file chose.

    Raises:
        RefusalError: It is neither number, text nor a tuple of these.
    """
    if key is None or isinstance(key, str | float) or _is_short(key):
        return key
    if isinstance(key, tuple) and len(key) < 9 and all(map(_is_short, key)):
        return ", ".join(map(str, key))
    raise RefusalError(f"it has a dictionary with a key of type {type(key).__name__}")


def _is_short(key: Any) -> bool:
    """Whether it takes next to nothing to hash it or to write it out."""
    if isinstance(key, str | bytes):
        return len(key) <= MAX_KEY
    return isinstance(key, float) or (isinstance(key, int) and abs(key) < LARGEST_KEY)
