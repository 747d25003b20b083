"""One image in overlapping tiles, in memory that does not grow with it.

Neighbours share `overlap` pixels. Across these the weight of one falls from 1 to 0 and that of the
other rises, so that the weights of all tiles sum to 1 at every pixel. The outer quarter of the
overlap has weight 0: there a tile misses what lies beyond its border. A pixel is affected by what
lies at most the receptive field's radius away, so where the radius is at most `overlap / 4` the
result is that of the whole image, up to rounding. That holds for sizes that are multiples of the
network's stride; of others the plain strategy stretches the logits by a fraction of a cell, in the
whole image and in the last tile unlike. A network that averages over its whole input (image
pooling, attention) sees a tile in place of the image; no overlap makes it equal.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size
from dualseg.core.image_spec import Pixels
from dualseg.inference.predictor import batch_of_one
from dualseg.inference.strategies import LogitsFunction

LARGEST_STRIDE = 32
DEFAULT_SIDE = 640
TILE_BYTES = 64 << 20
"""The probabilities of a tile of default size take no more."""
CARRY_BYTES = 96 << 20
"""What waits for the next row of tiles takes no more; wider images go stripe by stripe."""


@dataclass(frozen=True)
class Tiling:
    """Sizes in pixels of the image.

    Args:
        tile: (height, width).
        overlap: Shared by neighbours, in both directions.
        is_fixed: The network takes no other size than the tile's, so the last tile of a row or
            column is moved back until it ends with the image, wherever it begins then.
    """

    tile: Size
    overlap: int
    is_fixed: bool = False

    @property
    def step(self) -> Size:
        """From one tile to the next."""
        return self.tile[0] - self.overlap, self.tile[1] - self.overlap


class TileSource(Protocol):
    """An image that is read by windows."""

    @property
    def size(self) -> Size:
        """(height, width)."""
        ...

    def read(self, top: int, left: int, size: Size) -> Pixels:
        """(*size, C) pixels of the window."""
        ...

    def valid(self, top: int, left: int, size: Size) -> NDArray[np.bool_] | None:
        """(*size): False where the image has no data; None where all of it has."""
        ...


TileSink = Callable[[int, int, NDArray[np.uint8], Pixels], object]
"""Takes (top, left, label map, pixels) of a finished block; blocks do not overlap."""


class Span(NamedTuple):
    """A tile along one axis.

    start..stop is covered, start..own_stop is finished when the tile is done; the network reads
    from `read_start`, which lies before `start` in the last tile, so that this is no sliver.
    """

    start: int
    stop: int
    own_stop: int
    read_start: int
    is_first: bool
    is_last: bool


def choose_tiling(
    facts: ModelFacts,
    *,
    tile: Size | None = None,
    overlap: int | None = None,
    fixed: Size | None = None,
) -> Tiling:
    """A tiling that suits the network: tiles begin where its coarsest grid has a cell.

    Args:
        facts: Number of classes and input scale.
        tile: (height, width); chosen by the number of classes where not given.
        overlap: A fifth of the tile where not given.
        fixed: The only size the network takes: that of tiles, on no grid.

    Raises:
        InputError: Sizes that are no multiples of the grid, an overlap above half a tile, or tiles
            of another size than the fixed one.
    """
    grid = 1 if fixed else alignment(facts.input_scale)
    tile = tile or fixed
    if tile is None:
        fitting = math.isqrt(TILE_BYTES // (4 * facts.labels.num_classes))
        side = max(4 * grid, min(DEFAULT_SIDE, fitting) // grid * grid)
        tile = (side, side)
    if overlap is None:
        overlap = max(grid, min(tile) // 5 // grid * grid)
    faults = [
        f"the {name} {value} is no multiple of {grid}, the network's coarsest step in the image; "
        f"use {max(grid, round(value / grid) * grid)}"
        for name, value in (("tile's height", tile[0]), ("tile's width", tile[1]))
        if value % grid or value < 1
    ]
    if overlap % grid or overlap < 0:
        faults.append(
            f"the overlap {overlap} is no multiple of {grid}; use "
            f"{max(0, round(overlap / grid) * grid)}"
        )
    if overlap > min(tile) // 2:
        faults.append(
            f"the overlap {overlap} is more than half of the tile {tile[0]}x{tile[1]}; use at most "
            f"{min(tile) // 2 // grid * grid}"
        )
    if fixed and tile != fixed:
        taken = f"{fixed[0]}x{fixed[1]}"
        faults.append(f"the file was exported for {taken} alone; use tiles of {taken}")
    if faults:
        raise InputError("the image cannot be cut into tiles so:", faults)
    return Tiling(tile, overlap, is_fixed=fixed is not None)


def alignment(input_scale: float) -> int:
    """The smallest multiple of 32 image pixels that is a multiple of 32 for the network too."""
    for grid in range(LARGEST_STRIDE, 32 * LARGEST_STRIDE + 1, LARGEST_STRIDE):
        if (grid * input_scale) % LARGEST_STRIDE == 0:
            return grid
    return 2 * LARGEST_STRIDE


def spans(length: int, tile: int, overlap: int, grid: int) -> list[Span]:
    """The tiles along an axis of `length` pixels."""
    step = tile - overlap
    count = max(1, -(-(length - overlap) // step))
    last_read = -(-max(0, length - tile) // grid) * grid
    return [
        Span(
            start=number * step,
            stop=min(number * step + tile, length),
            own_stop=length if number == count - 1 else (number + 1) * step,
            read_start=min(number * step, last_read),
            is_first=number == 0,
            is_last=number == count - 1,
        )
        for number in range(count)
    ]


def predict_tiles(
    logits: LogitsFunction,
    facts: ModelFacts,
    source: TileSource,
    sink: TileSink,
    tiling: Tiling,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Predicts an image tile by tile and hands out finished blocks of labels.

    Where the image has no data the label is the ignored one; tiles without any data do not reach
    the network. Very wide images go in vertical stripes, and one column of tiles at the border of
    two stripes is predicted twice.

    Args:
        logits: Any strategy.
        facts: Classes and input scale.
        source: The image.
        sink: Called with each block.
        tiling: From `choose_tiling`.
        progress: Called with (done, total) tiles before the first and after each.

    Raises:
        FloatingPointError: A logit is NaN.
    """
    grid = 1 if tiling.is_fixed else alignment(facts.input_scale)
    rows = spans(source.size[0], tiling.tile[0], tiling.overlap, grid)
    columns = spans(source.size[1], tiling.tile[1], tiling.overlap, grid)
    stripes = list(_stripes(columns, tiling, facts.labels.num_classes))
    total = len(rows) * sum(len(stripe) for stripe in stripes)
    done = 0
    if progress is not None:
        progress(0, total)
    with torch.inference_mode():
        for stripe in stripes:
            for _ in _stripe_tiles(logits, facts, source, sink, tiling, rows, stripe):
                done += 1
                if progress is not None:
                    progress(done, total)


def _stripes(columns: list[Span], tiling: Tiling, num_classes: int) -> Iterator[list[Span]]:
    """Columns of tiles that go together; each but the first begins with the last one of before."""
    column_bytes = 4 * num_classes * max(1, tiling.overlap) * tiling.step[1]
    count = max(1, CARRY_BYTES // column_bytes)
    for first in range(0, len(columns), count):
        yield columns[max(0, first - 1) : first + count]


def _stripe_tiles(
    logits: LogitsFunction,
    facts: ModelFacts,
    source: TileSource,
    sink: TileSink,
    tiling: Tiling,
    rows: list[Span],
    columns: list[Span],
) -> Iterator[None]:
    """Predicts a stripe, row by row; yields after every tile."""
    overlap = tiling.overlap
    owned = columns if columns[0].is_first else columns[1:]
    stripe_left = owned[0].start
    below = torch.zeros(
        facts.labels.num_classes, overlap, owned[-1].own_stop - stripe_left, dtype=torch.float32
    )
    for row in rows:
        from_left: Tensor | None = None
        for column in columns:
            block, pixels, valid = _tile(logits, facts, source, row, column, overlap)
            if from_left is not None:
                block[..., :overlap] += from_left
            own_height, own_width = row.own_stop - row.start, column.own_stop - column.start
            if column.start >= stripe_left:
                place = slice(column.start - stripe_left, column.own_stop - stripe_left)
                if not row.is_first:
                    block[:, :overlap, :own_width] += below[..., place]
                if not row.is_last:
                    below[..., place] = block[:, own_height:, :own_width]
                own_valid = None if valid is None else valid[:own_height, :own_width]
                label_map = _labels(
                    block[:, :own_height, :own_width], own_valid, facts.labels.ignore_index
                )
                sink(row.start, column.start, label_map, pixels[:own_height, :own_width])
            from_left = None if column.is_last else block[..., own_width:].clone()
            yield


def _tile(
    logits: LogitsFunction,
    facts: ModelFacts,
    source: TileSource,
    row: Span,
    column: Span,
    overlap: int,
) -> tuple[Tensor, Pixels, NDArray[np.bool_] | None]:
    """Weighted probabilities (K, h, w) of start..stop, and the pixels and valid ones there."""
    top, left = row.read_start, column.read_start
    size = (row.stop - top, column.stop - left)
    pixels, valid = source.read(top, left, size), source.valid(top, left, size)
    inside = (slice(row.start - top, None), slice(column.start - left, None))
    shown, shown_valid = pixels[inside], None if valid is None else valid[inside]
    if shown_valid is not None and not shown_valid.any():
        block = torch.zeros(facts.labels.num_classes, *shown.shape[:2])
        return block, shown, shown_valid
    probs = logits(batch_of_one(pixels))[0].softmax(dim=0)[(slice(None), *inside)].cpu()
    weights = _weights(row, overlap)[:, None] * _weights(column, overlap)
    return probs.mul_(weights), shown, shown_valid


def _weights(span: Span, overlap: int) -> Tensor:
    weights = torch.ones(span.stop - span.start)
    if not overlap:
        return weights
    rising = ((torch.arange(overlap) + 0.5 - overlap / 4) / (overlap / 2)).clamp(0, 1)
    if not span.is_first:
        weights[:overlap] = rising
    if not span.is_last:
        weights[-overlap:] = 1 - rising
    return weights


def _labels(block: Tensor, valid: NDArray[np.bool_] | None, ignore_index: int) -> NDArray[np.uint8]:
    if valid is None:
        return _highest(block)
    if not valid.any():
        return np.full(valid.shape, ignore_index, np.uint8)
    label_map = _highest(block)
    label_map[~valid] = ignore_index
    return label_map


def _highest(block: Tensor) -> NDArray[np.uint8]:
    best = block.max(dim=0)
    if bool(best.values.isnan().any()):
        raise FloatingPointError("the network's logits are NaN; its weights are damaged")
    return best.indices.to(torch.uint8).numpy()
