"""Two ways of doing the same work, timed in turns."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

Way = Callable[[], object]
REST = 0.05  # seconds: threads of one library spin on after their work and would disturb the other


class Compared(NamedTuple):
    """Milliseconds of ours and of the peer's, medians; `ratio` is the median of the rounds' ratios,
    so that a machine that slows down meets both.
    """

    ours: float
    peer: float
    ratio: float


def compare(ours: Way, peer: Way, *, rounds: int) -> Compared:
    """Each once a round; a first round warms up."""
    own: list[float] = []
    other: list[float] = []
    for number in range(rounds + 1):
        pair = milliseconds(ours), milliseconds(peer)
        if number:
            own.append(pair[0])
            other.append(pair[1])
    ratios = [b / a for a, b in zip(own, other, strict=True)]
    return Compared(statistics.median(own), statistics.median(other), statistics.median(ratios))


def milliseconds(way: Way) -> float:
    """Of one run."""
    time.sleep(REST)
    start = time.perf_counter()
    way()
    return 1e3 * (time.perf_counter() - start)
