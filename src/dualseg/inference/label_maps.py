"""From logits of any size to a label map of the image's size, in one pass where possible."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dualseg.core.compiled import can_compile
from dualseg.core.geometry import Size, resize_logits

MIN_PIXELS = 1 << 17  # below, torch is done before threads have started
MAX_CLASSES = 256  # a label map has one byte a pixel


def label_map_of(logits: Tensor, size: Size | None = None) -> NDArray[np.uint8]:
    """The winning class of every pixel, as `argmax` of bilinearly resized logits gives it.

    On the CPU, where numba is installed, the resized logits are never stored; the result is
    torch's but for exact ties of sums that round differently.

    Args:
        logits: (1, K, h, w), in any memory format.
        size: (H, W) of the label map; the logits' own where not given.

    Returns:
        (H, W) class ids.

    Raises:
        FloatingPointError: A logit is NaN, which would otherwise pass for class 0.
    """
    size = size or (logits.shape[-2], logits.shape[-1])
    fits = logits.shape[0] == 1 and logits.shape[1] <= MAX_CLASSES
    if fits and logits.device.type == "cpu" and size[0] * size[1] >= MIN_PIXELS and can_compile():
        return _fused(logits.detach(), size)
    best = resize_logits(logits.float(), size)[0].max(dim=0)
    _refuse_nan(bool(best.values.isnan().any()))
    return best.indices.to(torch.uint8).cpu().numpy()


def _fused(logits: Tensor, size: Size) -> NDArray[np.uint8]:
    from dualseg.inference.label_kernel import fill_rows

    classes_first = logits.is_contiguous()
    of_halves = classes_first and logits.dtype == torch.float16
    logits = logits.view(torch.uint16) if of_halves else logits.float()
    layout = logits[0] if classes_first else logits[0].permute(1, 2, 0).contiguous()
    columns = _source_positions(logits.shape[-1], size[1])
    rows = _source_positions(logits.shape[-2], size[0])
    out = np.empty(size, np.uint8)
    scores = layout.numpy()

    def fill(first: int, end: int) -> bool:
        return fill_rows(scores, classes_first, *columns, *rows, out, first, end)

    parts = torch.get_num_threads()
    ends = [size[0] * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        _refuse_nan(any(pool.map(fill, ends[:-1], ends[1:])))
    return out


def _source_positions(
    have: int, want: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """For each of `want` output positions the two of `have` source positions around it and the
    weight of the second, as torch's bilinear resizing without aligned corners has them.
    """
    step = np.float32(have) / np.float32(want)
    centres = (np.arange(want, dtype=np.float32) + np.float32(0.5)) * step - np.float32(0.5)
    centres = np.maximum(centres, np.float32(0))
    first = np.minimum(centres.astype(np.int32), np.int32(have - 1))
    share = np.minimum(centres - first.astype(np.float32), np.float32(1))
    return first, np.minimum(first + 1, np.int32(have - 1)).astype(np.int32), share


def _refuse_nan(found: bool) -> None:
    if found:
        raise FloatingPointError("the network's logits are NaN; its weights are damaged")
