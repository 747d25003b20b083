"""The loops of the permutohedral lattice, compiled. Each works on a slice, so threads share none.

A point of d coordinates is embedded in the plane x_0 + ... + x_d = 0 of d+1 dimensions. The lattice
there has simplices of d+1 vertices; a vertex is known by its first d coordinates, packed into one
number (mixed radix), so that a step to a neighbour is an addition.
"""

import numba
import numpy as np
from numpy.typing import NDArray

EMPTY = -1
DIMENSIONS = 5  # row, column, red, green, blue


@numba.njit(cache=True, nogil=True, fastmath=True)
def embed(
    image: NDArray[np.uint8],
    first: int,
    last: int,
    scale: NDArray[np.float32],
    radix: NDArray[np.int64],
    shift: NDArray[np.int64],
    keys: NDArray[np.int64],
    weights: NDArray[np.float32],
) -> None:
    """Finds the simplex around every pixel of rows first..last.

    Args:
        image: (H, W, 3).
        first: Row to begin with.
        last: Row to stop before.
        scale: (5,) factor of each coordinate.
        radix: (5,) place value of each lattice coordinate in a key.
        shift: (5,) added to each lattice coordinate, so that none is negative.
        keys: (N, 6), filled: packed vertices.
        weights: (N, 6), filled: barycentric coordinates; they sum to 1.
    """
    d = DIMENSIONS
    position = np.empty(d, np.float32)
    elevated = np.empty(d + 1, np.float32)
    corner = np.empty(d + 1, np.int64)
    rank = np.empty(d + 1, np.int64)
    barycentric = np.empty(d + 2, np.float32)
    width = image.shape[1]
    for row in range(first, last):
        for column in range(width):
            pixel = row * width + column
            position[0] = row * scale[0]
            position[1] = column * scale[1]
            for band in range(3):
                position[2 + band] = image[row, column, band] * scale[2 + band]
            # Multiplied by an orthogonal basis of the plane, without writing it out.
            tail = np.float32(0)
            for i in range(d, 0, -1):
                elevated[i] = tail - i * position[i - 1]
                tail += position[i - 1]
            elevated[0] = tail
            # The nearest point whose coordinates are all multiples of d+1.
            total = 0
            for i in range(d + 1):
                nearest = np.int64(np.floor(elevated[i] / (d + 1) + np.float32(0.5)))
                corner[i] = nearest * (d + 1)
                total += nearest
                rank[i] = 0
            # The order of the remainders says in which simplex the point lies.
            for i in range(d):
                rest = elevated[i] - corner[i]
                for j in range(i + 1, d + 1):
                    if rest < elevated[j] - corner[j]:
                        rank[i] += 1
                    else:
                        rank[j] += 1
            # Rounding may have left the plane; the outermost coordinates step back.
            for i in range(d + 1):
                rank[i] += total
                if rank[i] < 0:
                    rank[i] += d + 1
                    corner[i] += d + 1
                elif rank[i] > d:
                    rank[i] -= d + 1
                    corner[i] -= d + 1
            barycentric[:] = 0
            for i in range(d + 1):
                share = (elevated[i] - corner[i]) / (d + 1)
                barycentric[d - rank[i]] += share
                barycentric[d + 1 - rank[i]] -= share
            barycentric[0] += 1 + barycentric[d + 1]
            for vertex in range(d + 1):
                key = np.int64(0)
                for i in range(d):
                    step = vertex if rank[i] <= d - vertex else vertex - (d + 1)
                    key += (corner[i] + step + shift[i]) * radix[i]
                keys[pixel, vertex] = key
                weights[pixel, vertex] = barycentric[vertex]


@numba.njit(cache=True, nogil=True)
def slot_of(key: int, mask: int) -> np.int64:
    """Where the search for a key begins: its bits, well mixed."""
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed ^ (mixed >> np.uint64(29))) & np.uint64(mask))


@numba.njit(cache=True, nogil=True)
def number_vertices(
    keys: NDArray[np.int64],
    table: NDArray[np.int32],
    known: NDArray[np.int64],
    num_known: int,
    position: int,
    vertices: NDArray[np.int32],
) -> tuple[int, int]:
    """Numbers the keys in the order in which they come; stops where the table is half full.

    Args:
        keys: (P,) packed vertices.
        table: (T,) numbers by hash, T a power of two; EMPTY where free.
        known: (T/2,) the key of each number.
        num_known: Numbers given so far.
        position: Key to go on with.
        vertices: (P,), filled: the number of each key.

    Returns:
        Numbers given, and the key to go on with after the table has grown.
    """
    mask = table.size - 1
    for p in range(position, keys.size):
        slot = slot_of(keys[p], mask)
        while table[slot] != EMPTY and known[table[slot]] != keys[p]:
            slot = (slot + 1) & mask
        if table[slot] == EMPTY:
            if num_known == known.size:
                return num_known, p
            table[slot] = num_known
            known[num_known] = keys[p]
            num_known += 1
        vertices[p] = table[slot]
    return num_known, keys.size


@numba.njit(cache=True, nogil=True)
def fill_table(table: NDArray[np.int32], known: NDArray[np.int64], num_known: int) -> None:
    """Enters the known keys into an empty table."""
    mask = table.size - 1
    for number in range(num_known):
        slot = slot_of(known[number], mask)
        while table[slot] != EMPTY:
            slot = (slot + 1) & mask
        table[slot] = number


@numba.njit(cache=True, nogil=True)
def find_neighbours(
    table: NDArray[np.int32],
    known: NDArray[np.int64],
    steps: NDArray[np.int64],
    first: int,
    last: int,
    neighbours: NDArray[np.int32],
) -> None:
    """Fills (d+1, M, 2) with the vertex before and behind along each axis; EMPTY where none is."""
    mask = table.size - 1
    for axis in range(steps.size):
        for vertex in range(first, last):
            for side in range(2):
                key = known[vertex] + (steps[axis] if side else -steps[axis])
                slot = slot_of(key, mask)
                while table[slot] != EMPTY and known[table[slot]] != key:
                    slot = (slot + 1) & mask
                neighbours[axis, vertex, side] = table[slot]


@numba.njit(cache=True, nogil=True)
def group_by_vertex(
    vertices: NDArray[np.int32],
    weights: NDArray[np.float32],
    starts: NDArray[np.int32],
    pixels: NDArray[np.int32],
    sorted_weights: NDArray[np.float32],
) -> None:
    """Counting sort: for each vertex the pixels it takes from, and their weights.

    Args:
        vertices: (N, d+1).
        weights: (N, d+1).
        starts: (M+2,) zeros; becomes where each vertex's part begins, in its first M+1 places.
        pixels: (N * (d+1),), filled.
        sorted_weights: (N * (d+1),), filled.
    """
    for pixel in range(vertices.shape[0]):
        for i in range(vertices.shape[1]):
            starts[vertices[pixel, i] + 2] += 1
    for vertex in range(2, starts.size):
        starts[vertex] += starts[vertex - 1]
    for pixel in range(vertices.shape[0]):
        for i in range(vertices.shape[1]):
            place = starts[vertices[pixel, i] + 1]
            starts[vertices[pixel, i] + 1] += 1
            pixels[place] = pixel
            sorted_weights[place] = weights[pixel, i]


@numba.njit(cache=True, nogil=True, fastmath=True)
def splat(
    values: NDArray[np.float32],
    starts: NDArray[np.int32],
    pixels: NDArray[np.int32],
    weights: NDArray[np.float32],
    first: int,
    last: int,
    out: NDArray[np.float32],
) -> None:
    """Vertices first..last take what their pixels have: (N, C) -> (M, C)."""
    for vertex in range(first, last):
        for c in range(out.shape[1]):
            out[vertex, c] = 0
        for place in range(starts[vertex], starts[vertex + 1]):
            pixel, weight = pixels[place], weights[place]
            for c in range(out.shape[1]):
                out[vertex, c] += weight * values[pixel, c]


@numba.njit(cache=True, nogil=True, fastmath=True)
def blur(
    old: NDArray[np.float32],
    neighbours: NDArray[np.int32],
    first: int,
    last: int,
    new: NDArray[np.float32],
) -> None:
    """The filter 1/4, 1/2, 1/4 along one axis, for vertices first..last; no neighbour is a zero."""
    for vertex in range(first, last):
        before, behind = neighbours[vertex, 0], neighbours[vertex, 1]
        for c in range(old.shape[1]):
            new[vertex, c] = np.float32(0.5) * old[vertex, c]
        if before != EMPTY:
            for c in range(old.shape[1]):
                new[vertex, c] += np.float32(0.25) * old[before, c]
        if behind != EMPTY:
            for c in range(old.shape[1]):
                new[vertex, c] += np.float32(0.25) * old[behind, c]


@numba.njit(cache=True, nogil=True, fastmath=True)
def slice_back(
    lattice: NDArray[np.float32],
    vertices: NDArray[np.int32],
    weights: NDArray[np.float32],
    first: int,
    last: int,
    out: NDArray[np.float32],
) -> None:
    """Pixels first..last take from their vertices: (M, C) -> (N, C)."""
    for pixel in range(first, last):
        for c in range(out.shape[1]):
            out[pixel, c] = 0
        for i in range(vertices.shape[1]):
            vertex, weight = vertices[pixel, i], weights[pixel, i]
            for c in range(out.shape[1]):
                out[pixel, c] += weight * lattice[vertex, c]
