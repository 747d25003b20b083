"""A lock that several processes take in turn."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Waits until nobody else is in such a block.

    The lock ends with its process, however that ends. On Windows, and on a file system without
    locks, it keeps nobody out.

    Args:
        path: A file, made if need be, or a folder that is there; neither is changed.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags, 0o666)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
