"""A batch as the losses see it."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TrainingBatch:
    """A batch on the device, or one micro-batch of it.

    Args:
        image: (B, 3, h, w) normalised input of the network.
        image_hr: (B, 3, H, W) the same image before the shrink.
        target: (B, H, W) int64 class ids, 255 ignored; (B, h, w) where the label was shrunk too.
        names: File names, for messages.
        num_valid: Valid pixels of the whole batch, when this is a part of it.
        share: This part's images divided by the whole batch's.
    """

    image: Tensor
    image_hr: Tensor
    target: Tensor
    names: tuple[str, ...] = ()
    num_valid: float | None = None
    share: float = 1.0
