"""The compiled pass from logits to an enlarged label map; needs numba, so it is imported late.

Bilinear weights are convex: where one class wins at all four corners of a cell of the small map, it
wins everywhere inside. Only the cells between classes look at all logits, and no enlarged logits
are ever stored. Rows are taken from above to below, so that their logits are still in the cache
when the cells between them are filled.
"""

import numpy as np
from numpy.typing import NDArray

from dualseg.core.compiled import compiled

Scores = NDArray[np.float32]
Logits = NDArray[np.float32] | NDArray[np.uint16]
Bytes = NDArray[np.uint8]
Indices = NDArray[np.int32]

HALF_SCALE = np.float32(2.0**112)
PADDING = 16  # columns between two classes of a kept row, lest all fall into one line of the cache


@compiled
def fill_rows(
    logits: Logits,
    classes_first: bool,
    left: Indices,
    right: Indices,
    right_share: Scores,
    upper: Indices,
    lower: Indices,
    lower_share: Scores,
    out: Bytes,
    first_row: int,
    end_row: int,
) -> bool:
    """Fills some rows of a label map; several calls may run side by side.

    Args:
        logits: (K, h, w) if `classes_first`, else (h, w, K); float16, which must be classes first,
            as the uint16 of its bits.
        classes_first: Which of the two.
        left, right, right_share: For each output column its two source columns, and the weight of
            the right one.
        upper, lower, lower_share: The same for rows.
        out: (H, W) label map.
        first_row, end_row: The rows to fill.

    Returns:
        Whether a NaN was met; the rows mean nothing then.
    """
    width = logits.shape[2] if classes_first else logits.shape[1]
    kept = logits.shape[0] if classes_first else 1
    scores_above = np.empty((kept, width + PADDING), np.float32)
    scores_below = np.empty((kept, width + PADDING), np.float32)
    above, below = np.empty(width, np.uint8), np.empty(width, np.uint8)
    best = np.empty(width, np.float32)
    uniform = np.empty(out.shape[1], np.uint8)
    mixed = np.empty(out.shape[1] + 1, np.int32)
    num_mixed, row_above, row_below = 0, -1, -1
    has_nan = False
    for row in range(first_row, end_row):
        y0, y1 = upper[row], lower[row]
        if y0 != row_above or y1 != row_below:
            above, below = below, above
            scores_above, scores_below = scores_below, scores_above
            if classes_first:
                if y0 != row_below:
                    has_nan |= _keep_row(logits, y0, scores_above, best, above)
                has_nan |= _keep_row(logits, y1, scores_below, best, below)
            else:
                if y0 != row_below:
                    has_nan |= _read_row(logits, y0, above)
                has_nan |= _read_row(logits, y1, below)
            row_above, row_below = y0, y1
            num_mixed = _find_mixed(above, below, left, right, uniform, mixed)
        out[row, :] = uniform
        columns, share = mixed[:num_mixed], lower_share[row]
        if classes_first:
            _mix_kept(
                scores_above, scores_below, columns, left, right, right_share, share, out[row]
            )
        else:
            _mix_read(logits[y0], logits[y1], columns, left, right, right_share, share, out[row])
    return has_nan


@compiled
def _keep_row(logits: Logits, row: int, kept: Scores, best: Scores, winners: Bytes) -> bool:
    """The winners of a row, class by class so that columns fill registers; and a copy of it."""
    if logits.itemsize == 2:
        return _keep_halves(logits, row, kept, best, winners)
    has_nan = False
    for k in range(logits.shape[0]):
        source, copy = logits[k, row], kept[k]
        for x in range(len(winners)):
            score = source[x]
            copy[x] = score
            has_nan |= score != score
            is_better = k == 0 or score > best[x]
            best[x] = score if is_better else best[x]
            winners[x] = np.uint8(k) if is_better else winners[x]
    return has_nan


@compiled
def _keep_halves(logits: Logits, row: int, kept: Scores, best: Scores, winners: Bytes) -> bool:
    """The same for the bits of float16, which are widened first."""
    has_nan = False
    bits = kept.view(np.uint32)
    for k in range(logits.shape[0]):
        source, copy = logits[k, row], kept[k]
        for x in range(len(winners)):
            half = np.uint32(source[x])
            has_nan |= half & 0x7FFF > 0x7C00
            # Exponent and mantissa in the places of a float32's; the exponent is too small by 112,
            # and multiplied right below. An infinity becomes 65536, larger than the rest.
            bits[k, x] = (half & 0x8000) << 16 | (half & 0x7FFF) << 13
            copy[x] *= HALF_SCALE
        for x in range(len(winners)):
            is_better = k == 0 or copy[x] > best[x]
            best[x] = copy[x] if is_better else best[x]
            winners[x] = np.uint8(k) if is_better else winners[x]
    return has_nan


@compiled
def _read_row(logits: Logits, row: int, winners: Bytes) -> bool:
    """The winners of a row whose classes lie side by side."""
    has_nan = False
    for x in range(len(winners)):
        scores = logits[row, x]
        best, winner = scores[0], 0
        has_nan |= best != best
        for k in range(1, len(scores)):
            has_nan |= scores[k] != scores[k]
            if scores[k] > best:
                best, winner = scores[k], k
        winners[x] = winner
    return has_nan


@compiled
def _find_mixed(
    above: Bytes, below: Bytes, left: Indices, right: Indices, uniform: Bytes, mixed: Indices
) -> int:
    """An output row as if every cell had one winner, and the columns where it has not."""
    count = 0
    for column in range(len(uniform)):
        x0, x1 = left[column], right[column]
        winner = above[x0]
        uniform[column] = winner
        mixed[count] = column
        count += (winner != above[x1]) | (winner != below[x0]) | (winner != below[x1])
    return count


@compiled
def _mix_kept(
    above: Scores,
    below: Scores,
    columns: Indices,
    left: Indices,
    right: Indices,
    right_share: Scores,
    lower_share: float,
    out: Bytes,
) -> None:
    """The winners at some columns, from two kept rows (K, w)."""
    upper_share = np.float32(1) - lower_share
    for column in columns:
        x0, x1, b = left[column], right[column], right_share[column]
        a = np.float32(1) - b
        best, winner = np.float32(-np.inf), 0
        for k in range(len(above)):
            score = upper_share * (a * above[k, x0] + b * above[k, x1]) + lower_share * (
                a * below[k, x0] + b * below[k, x1]
            )
            if score > best:
                best, winner = score, k
        out[column] = winner


@compiled
def _mix_read(
    above: Logits,
    below: Logits,
    columns: Indices,
    left: Indices,
    right: Indices,
    right_share: Scores,
    lower_share: float,
    out: Bytes,
) -> None:
    """The winners at some columns, from two rows (w, K) of the logits themselves."""
    upper_share = np.float32(1) - lower_share
    for column in columns:
        x0, x1, b = left[column], right[column], right_share[column]
        a = np.float32(1) - b
        above_left, above_right = above[x0], above[x1]
        below_left, below_right = below[x0], below[x1]
        best, winner = np.float32(-np.inf), 0
        for k in range(len(above_left)):
            score = upper_share * (a * above_left[k] + b * above_right[k]) + lower_share * (
                a * below_left[k] + b * below_right[k]
            )
            if score > best:
                best, winner = score, k
        out[column] = winner
