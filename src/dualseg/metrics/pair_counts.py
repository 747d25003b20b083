"""How often every pair of bytes stands at the same place in two maps."""

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from dualseg.metrics.pair_kernel import PairKernel, compiled_kernel

NUM_IDS = 256
EXACT_IN_FLOAT32 = 1 << 24  # cv2's histograms are of this type
FAST_FROM = 1 << 20  # pixels; below, compiling or loading the kernel costs more than it saves
MOST_THREADS = 4
WORD = np.dtype(np.uint64).itemsize


def count_pairs(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Counts the pairs of two maps of one shape.

    Large maps go through a compiled pass where numba is installed, others through
    `cv2.calcHist`; the counts are the same.

    Returns:
        (256, 256): how often `first` holds the row's number where `second` holds the column's.
    """
    first, second = np.ascontiguousarray(first).ravel(), np.ascontiguousarray(second).ravel()
    kernel = compiled_kernel() if first.size >= FAST_FROM else None
    if kernel is None:
        return count_with_cv2(first, second)
    return count_with_kernel(first, second, kernel)


def count_with_cv2(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The same for flat maps, in parts small enough for cv2's counts to be exact."""
    total = np.zeros((NUM_IDS, NUM_IDS), np.int64)
    for start in range(0, first.size, EXACT_IN_FLOAT32):
        part = slice(start, start + EXACT_IN_FLOAT32)
        channels = [first[part][None], second[part][None]]
        both = [NUM_IDS, NUM_IDS]
        total += cv2.calcHist(channels, [0, 1], None, both, [0, NUM_IDS] * 2).astype(np.int64)
    return total


def count_with_kernel(
    first: NDArray[np.uint8], second: NDArray[np.uint8], kernel: PairKernel
) -> NDArray[np.int64]:
    """The same for flat maps, each thread with a part of them and a histogram of its own."""
    num_words = first.size // WORD
    rest = slice(num_words * WORD, None)
    words = [_as_words(flat[: num_words * WORD]) for flat in (first, second)]
    parts = max(1, min(_num_cpus(), MOST_THREADS, first.size // FAST_FROM))
    ends = [num_words * part // parts for part in range(parts + 1)]
    counts = np.zeros((parts, NUM_IDS * NUM_IDS), np.int64)

    def count(part: int) -> None:
        piece = slice(ends[part], ends[part + 1])
        kernel(words[0][piece], words[1][piece], counts[part])

    if parts == 1:
        count(0)
    else:
        with ThreadPoolExecutor(parts) as pool:
            list(pool.map(count, range(parts)))
    total = counts.sum(axis=0).reshape(NUM_IDS, NUM_IDS)
    return total + count_with_cv2(first[rest], second[rest])


def _as_words(flat: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Eight bytes at a time; a copy where they do not start at a multiple of eight."""
    words = flat.view(np.uint64)
    return words if words.flags.aligned else flat.copy().view(np.uint64)


def _num_cpus() -> int:
    """Those this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
