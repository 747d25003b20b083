"""Gaussian filtering in position and colour, in time linear in the pixels.

Source: Adams, Baek and Davis 2010, "Fast high-dimensional filtering using the permutohedral
lattice"; used for the CRF by Krähenbühl and Koltun 2011, arXiv:1210.5644. Differs: vertices are
found by one packed number, values are gathered vertex by vertex (so threads never add to one
place, and the result is the same for every number of threads), and channels go in groups that fit
a memory limit.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError

COORDINATES = 5
CORNERS = COORDINATES + 1
FIRST_TABLE = 1 << 20
MAX_KEY = 2**62
LATTICE_BYTES = 256 << 20
"""The values of all vertices, twice, take no more than this; channels wait for their turn."""


class BilateralFilter:
    """Sums over all pixels, weighted by exp(-distance^2 / 2) of position and colour.

    Positions are divided by `xy_std` and colours by `rgb_std` first. The sums come with a constant
    factor (that of the lattice), which a normalised filter does not see. Approximate: see
    `docs/evaluation.md` for the error against the sum over all pairs.

    Args:
        image: (H, W, 3) uint8.
        xy_std: In pixels.
        rgb_std: In colour values.
        threads: Used for all but the hashing.

    Raises:
        InputError: The widths are so small beside the image that the lattice has no end, or numba
            is not installed.
    """

    def __init__(self, image: NDArray[np.uint8], *, xy_std: float, rgb_std: float, threads: int):
        self.kernels = kernels = _kernels()
        self.threads = threads
        height, width = image.shape[:2]
        self.num_pixels = height * width
        stds = np.array([xy_std, xy_std, rgb_std, rgb_std, rgb_std])
        scale = _coordinate_scale() / stds
        extent = np.array([height, width, 255, 255, 255]) * scale
        radix, shift = _packing(extent, f"bi_xy_std {xy_std:g} and bi_rgb_std {rgb_std:g}")
        self.weights = np.empty((self.num_pixels, CORNERS), np.float32)
        self.vertices = np.empty((self.num_pixels, CORNERS), np.int32)
        table, known = self._number_vertices(self._embed(image, scale, radix, shift))
        self.num_vertices = len(known)
        self.neighbours = self._find_neighbours(table, known, _axis_steps(radix))
        self.starts = np.zeros(self.num_vertices + 2, np.int32)
        self.pixels = np.empty(self.vertices.size, np.int32)
        self.sorted_weights = np.empty(self.vertices.size, np.float32)
        kernels.group_by_vertex(
            self.vertices, self.weights, self.starts, self.pixels, self.sorted_weights
        )

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Filters every channel.

        Shape: (N, C) -> (N, C), N = H * W
        """
        out = np.empty_like(values)
        group = max(1, LATTICE_BYTES // (2 * 4 * self.num_vertices))
        for first in range(0, values.shape[1], group):
            self._filter(values[:, first : first + group], out[:, first : first + group])
        return out

    def _filter(self, values: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        kernels = self.kernels
        channels = values.shape[1]
        old, new = (np.empty((self.num_vertices, channels), np.float32) for _ in range(2))
        source, target = old, new
        self._share(
            self.num_vertices,
            lambda first, last: kernels.splat(
                values, self.starts, self.pixels, self.sorted_weights, first, last, old
            ),
        )
        for axis in range(CORNERS):
            self._blur(source, self.neighbours[axis], target)
            source, target = target, source
        blurred = source
        self._share(
            self.num_pixels,
            lambda first, last: kernels.slice_back(
                blurred, self.vertices, self.weights, first, last, out
            ),
        )

    def _blur(
        self,
        old: NDArray[np.float32],
        neighbours: NDArray[np.int32],
        new: NDArray[np.float32],
    ) -> None:
        self._share(
            self.num_vertices,
            lambda first, last: self.kernels.blur(old, neighbours, first, last, new),
        )

    def _embed(
        self,
        image: NDArray[np.uint8],
        scale: NDArray[np.float64],
        radix: NDArray[np.int64],
        shift: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Fills `weights`; returns the packed vertices around every pixel."""
        keys = np.empty((self.num_pixels, CORNERS), np.int64)
        single = scale.astype(np.float32)
        self._share(
            image.shape[0],
            lambda first, last: self.kernels.embed(
                image, first, last, single, radix, shift, keys, self.weights
            ),
        )
        return keys

    def _find_neighbours(
        self, table: NDArray[np.int32], known: NDArray[np.int64], steps: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        neighbours = np.empty((CORNERS, self.num_vertices, 2), np.int32)
        self._share(
            self.num_vertices,
            lambda first, last: self.kernels.find_neighbours(
                table, known, steps, first, last, neighbours
            ),
        )
        return neighbours

    def _number_vertices(
        self, keys: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Fills `vertices`; returns the hash table and the key of every vertex."""
        kernels = self.kernels
        flat, numbers = keys.reshape(-1), self.vertices.reshape(-1)
        table = np.full(FIRST_TABLE, kernels.EMPTY, np.int32)
        known = np.empty(FIRST_TABLE // 2, np.int64)
        count, position = kernels.number_vertices(flat, table, known, 0, 0, numbers)
        while position < flat.size:
            known = np.concatenate([known, np.empty_like(known)])
            table = np.full(2 * known.size, kernels.EMPTY, np.int32)
            kernels.fill_table(table, known, count)
            count, position = kernels.number_vertices(flat, table, known, count, position, numbers)
        return table, known[:count].copy()

    def _share(self, count: int, work: Callable[[int, int], object]) -> None:
        """Calls `work(first, last)` on slices of `range(count)`, one a thread."""
        bounds = [count * i // self.threads for i in range(self.threads + 1)]
        if self.threads == 1:
            work(0, count)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(work, bounds[:-1], bounds[1:]))


def _kernels() -> Any:
    try:
        from dualseg.inference.crf import lattice_kernels
    except ImportError:
        raise InputError("the CRF needs the package numba: pip install numba") from None
    return lattice_kernels


def _coordinate_scale() -> NDArray[np.float64]:
    """Makes the lattice's own blur, of splat, filter and slice, a Gaussian of width one."""
    i = np.arange(COORDINATES)
    return CORNERS * np.sqrt(2 / 3) / np.sqrt((i + 1) * (i + 2))


def _packing(extent: NDArray[np.float64], what: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Place value and shift of each lattice coordinate, for points from 0 to `extent`."""
    margin = 3 * CORNERS  # rounding, the corners of a simplex, and one step to a neighbour
    lowest = [-i * (extent[i - 1] if i else 0.0) - margin for i in range(COORDINATES)]
    highest = [float(extent[i:].sum()) + margin for i in range(COORDINATES)]
    radix, place = [], 1
    for low, high in zip(lowest, highest, strict=True):
        radix.append(place)
        place *= int(high - low) + 2
        if place > MAX_KEY:
            raise InputError(
                f"{what} are too small for an image of this size: the CRF's lattice would have "
                "more places than a number of 62 bits can count; give larger ones"
            )
    return np.array(radix, np.int64), np.array([int(-low) + 1 for low in lowest], np.int64)


def _axis_steps(radix: NDArray[np.int64]) -> NDArray[np.int64]:
    """What is added to a packed vertex to reach the next one along each of the six axes."""
    ones = int(radix.sum())
    steps = [ones - CORNERS * int(value) for value in radix]
    return np.array([*steps, ones], np.int64)
