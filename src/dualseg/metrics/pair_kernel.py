"""The compiled pass over two maps that counts pairs of bytes. numba is optional here."""

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dualseg.core.compiled import can_compile, compiled

PairKernel: TypeAlias = Callable[
    [NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]], object
]
"""(first, second, counts): adds the pairs of two maps, eight bytes a word, to 65 536 counts."""

SIGNATURE = "void(uint64[::1], uint64[::1], int64[::1])"


@cache
def compiled_kernel() -> PairKernel | None:
    """The kernel, compiled once and kept on disk; None where numba is not installed.

    Where nothing can be written beside the package or in the user's cache folder it is compiled
    anew in every process, which takes about a second.
    """
    return compiled(add_pairs, SIGNATURE) if can_compile() else None


def add_pairs(
    first: NDArray[np.uint64], second: NDArray[np.uint64], counts: NDArray[np.int64]
) -> None:
    """Label maps are made of runs: a run of equal pairs is measured and counted at once.

    Every number in here is uint64: numba would make floats of a mixture with signed ones.
    """
    byte, eight, spread = np.uint64(255), np.uint64(8), np.uint64(0x0101010101010101)
    run_first = run_second = np.uint64(0)
    run = 0  # pixels that are all (run_first, run_second) and not counted yet
    num_blocks = first.size // 8
    for block in range(num_blocks + 1):
        start, end = 8 * block, min(8 * block + 8, first.size)
        difference = np.uint64(0)
        for index in range(start, end):
            difference |= (first[index] ^ run_first) | (second[index] ^ run_second)
        if difference == np.uint64(0):
            run += 8 * (end - start)
            continue
        for index in range(start, end):
            a, b = first[index], second[index]
            if a == run_first and b == run_second:
                run += 8
            elif a == (a & byte) * spread and b == (b & byte) * spread:
                counts[((run_first & byte) << eight) | (run_second & byte)] += run
                run_first, run_second, run = a, b, 8
            else:
                for _ in range(8):
                    counts[((a & byte) << eight) | (b & byte)] += 1
                    a, b = a >> eight, b >> eight
    counts[((run_first & byte) << eight) | (run_second & byte)] += run
