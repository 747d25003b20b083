"""Files looked at by several threads, and answered for in their order."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 64  # files a thread takes at a time
ROUNDS = 4  # pieces of each thread between two answers, so that none waits for the slowest
MOST_THREADS = 32

Found = TypeVar("Found")


def in_order(look: Callable[[int], Found], count: int) -> Iterator[Found]:
    """`look(0)`, `look(1)` and so on, from several threads: decoders let others run.

    Args:
        look: Called with 0 to count - 1, in any order.
        count: How often.
    """
    pieces = [range(first, min(first + AT_ONCE, count)) for first in range(0, count, AT_ONCE)]
    step = ROUNDS * num_threads()
    with ThreadPoolExecutor(num_threads()) as threads:
        for first in range(0, len(pieces), step):
            for found in threads.map(lambda p: list(map(look, p)), pieces[first : first + step]):
                yield from found


def num_threads() -> int:
    """The cores this process may use, within reason."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, min(MOST_THREADS, len(os.sched_getaffinity(0))))
    return max(1, min(MOST_THREADS, os.cpu_count() or 1))
