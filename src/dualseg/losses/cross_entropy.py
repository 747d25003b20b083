"""Cross-entropy over the pixels that count."""

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int = 255,
    num_valid: Tensor | int | None = None,
) -> Tensor:
    """Mean negative log-likelihood over valid pixels, in fp32.

    A crop that is ignored altogether gives zero with a graph behind it, so that backward works.

    Args:
        logits: (B, K, H, W).
        target: (B, H, W) int64 class ids.
        ignore_index: Id of pixels that do not count.
        num_valid: Divide by this instead of the number of valid pixels at hand; the count of the whole
            batch, when this is a part of it.

    Returns:
        A scalar.
    """
    total = F.cross_entropy(logits.float(), target, ignore_index=ignore_index, reduction="sum")
    if num_valid is None:
        num_valid = (target != ignore_index).sum()
    return total / max(int(num_valid), 1)
