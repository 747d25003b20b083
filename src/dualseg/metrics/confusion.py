"""Counts of (true class, predicted class) pairs."""

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.labels import IGNORE_INDEX
from dualseg.metrics.pair_counts import count_pairs


def confusion_matrix(
    target: NDArray[np.uint8],
    preds: NDArray[np.uint8],
    num_classes: int,
    *,
    ignore_index: int = IGNORE_INDEX,
) -> NDArray[np.int64]:
    """Counts every pair of true and predicted class; the matrices of several images add up.

    Args:
        target: (H, W) class ids, or `ignore_index` where nothing counts.
        preds: (H, W) class ids; "ignored" cannot be predicted.
        num_classes: K.
        ignore_index: Id of pixels that are left out.

    Returns:
        (K, K): rows are true classes, columns predicted ones.

    Raises:
        InputError: Shapes differ, the maps are not uint8, or an id is out of range (it is named
            with its pixel count).
    """
    if target.shape != preds.shape:
        raise InputError(
            f"label map of shape {target.shape} and prediction of shape {preds.shape} differ; "
            "resize the logits to the label map's size first"
        )
    if target.dtype != np.uint8 or preds.dtype != np.uint8:
        raise InputError(f"got {target.dtype} labels and {preds.dtype} predictions; use uint8")
    # All 256 x 256 pairs are counted, so wrong ids show up in the same pass as the scores.
    counts = count_pairs(target, preds)
    known = range(num_classes)
    _refuse_unknown("prediction", counts.sum(axis=0), set(known), f"0 to {num_classes - 1}")
    _refuse_unknown(
        "label map",
        counts.sum(axis=1),
        {*known, ignore_index},
        f"0 to {num_classes - 1} and {ignore_index} (ignored)",
    )
    return counts[:num_classes, :num_classes].copy()


def _refuse_unknown(what: str, counts: NDArray[np.int64], known: set[int], allowed: str) -> None:
    unknown = [int(value) for value in np.flatnonzero(counts) if int(value) not in known]
    if unknown:
        found = ", ".join(f"{value} ({counts[value]:,} pixels)" for value in unknown)
        raise InputError(f"the {what} holds ids that are no class: {found}; allowed are {allowed}")
