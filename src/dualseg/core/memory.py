"""How the process takes memory and gives it back."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # glibc's mallopt parameters
_KEEP_BYTES = 2**31 - 1
_GROW_BYTES = 256 << 20


def keep_freed_memory() -> bool:
    """Has glibc keep freed memory for the next tensor instead of giving it back at once.

    A training step on a CPU frees and takes tensors of tens of megabytes; given back, each comes
    again as fresh pages that the kernel must clear. Keeping them took a third off a DSRL step (see
    docs/performance.md). The process's memory then does not shrink before it ends, so this is for
    the command line's own process and not done by `import dualseg`.

    Returns:
        Whether it worked; it does nothing but on Linux with glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _KEEP_BYTES), (_TOP_PAD, _GROW_BYTES))
    results = [mallopt(parameter, value) for parameter, value in settings]
    return results == [1, 1, 1]


@contextmanager
def without_cycle_search() -> Iterator[None]:
    """Python does not look for cycles of garbage meanwhile; whatever is in none is freed as ever.

    Where lists are made by the hundred thousand, Python goes through all of its memory again and
    again, which in a large process takes longer than making them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
