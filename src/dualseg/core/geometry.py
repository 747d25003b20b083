"""The few ways in which images and logits change size."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dualseg.core.errors import InputError

Size = tuple[int, int]


def resize_logits(logits: Tensor, size: Size, *, align_corners: bool = False) -> Tensor:
    """Bilinear resize of (B, K, h, w) to (B, K, *size); the same tensor where the size is right.

    `align_corners` is False but for networks that were trained otherwise by their authors.
    """
    if tuple(logits.shape[-2:]) == tuple(size):
        return logits
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=align_corners)


def scaled_size(size: Size, scale: float) -> Size:
    """Height and width times `scale`, rounded half up, at least one pixel."""
    return max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))


def shrink_images(images: Tensor, scale: float) -> Tensor:
    """Antialiased bilinear resize of (B, C, H, W) by `scale`; what a low-resolution network is fed.

    Training, evaluation and prediction all call this one function, so that a network never meets
    another kind of shrinking than the one it was trained on.
    """
    if scale == 1.0:
        return images
    size = scaled_size((images.shape[-2], images.shape[-1]), scale)
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def shrink_label_maps(label_maps: Tensor, size: Size) -> Tensor:
    """Nearest resize of (B, H, W) ids, sampled at pixel centres: the label of a shrunk image.

    At half the size no pixel lies at the centre, and the one to its lower right is taken: such
    labels lie half a fine pixel off. `shrink_by_majority` does not.
    """
    shrunk = F.interpolate(label_maps[:, None].to(torch.uint8), size=size, mode="nearest-exact")
    return shrunk[:, 0].to(label_maps.dtype)


def shrink_by_majority(label_maps: Tensor, size: Size, ignore_index: int) -> Tensor:
    """The most frequent id among the pixels that each pixel of the small map covers.

    Args:
        label_maps: (B, H, W) ids.
        size: (height, width), both a whole part of (H, W).
        ignore_index: Does not count; it stands only where nothing else is covered.

    Returns:
        (B, *size) ids. Where ids are equally frequent, the one that `shrink_label_maps` gives if it
        is among them, else the smallest.

    Raises:
        InputError: The size is no whole part.
    """
    height, width = label_maps.shape[-2:]
    if height % size[0] or width % size[1]:
        raise InputError(
            f"labels of {height}x{width} cannot be shrunk to {size[0]}x{size[1]} by majority: that "
            "is no whole part; use data.label_shrink: nearest, or another data.crop_size"
        )
    blocks = label_maps.unfold(1, height // size[0], height // size[0])
    blocks = blocks.unfold(2, width // size[1], width // size[1]).flatten(3)
    nearest = shrink_label_maps(label_maps, size)
    best, found = torch.zeros_like(nearest), torch.full_like(nearest, ignore_index)
    for id_ in label_maps.unique().tolist():
        if id_ == ignore_index:
            continue
        # Twice the count, and one more for the nearest pixel's id, which so wins among equals.
        votes = 2 * (blocks == id_).sum(-1).to(best.dtype)
        votes += ((nearest == id_) & (votes > 0)).to(best.dtype)
        found = torch.where(votes > best, id_, found)
        best = torch.maximum(votes, best)
    return found


def normalize_images(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(B, C, H, W) uint8, or float in 0..255 -> float, mean subtracted, divided by std.

    Raises:
        InputError: There is not one mean and one std for each band of the images.
    """
    if not images.shape[1] == len(mean) == len(std):
        raise InputError(
            f"the images have {images.shape[1]} bands, but the network was prepared for "
            f"{len(mean)} (mean has {len(mean)} numbers, std {len(std)}); give images with "
            f"{len(mean)} bands, or one mean and one std a band"
        )
    shift = torch.tensor(mean, device=images.device).view(1, -1, 1, 1) * 255.0
    gain = 1.0 / (torch.tensor(std, device=images.device).view(1, -1, 1, 1) * 255.0)
    return (images.float() - shift) * gain
