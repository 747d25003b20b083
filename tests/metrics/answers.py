"""Images with answers, for the scores that are collected one image at a time."""

import numpy as np
import torch

from dualseg.metrics.collector import ScoredImage
from dualseg.metrics.confusion import confusion_matrix


def answer(
    target: np.ndarray,
    preds: np.ndarray,
    num_classes: int,
    *,
    index: int = 0,
    logits: torch.Tensor | None = None,
) -> ScoredImage:
    """An image with these maps; the logits default to 1 for the predicted class, 0 otherwise."""
    target, preds = np.asarray(target, np.uint8), np.asarray(preds, np.uint8)
    if logits is None:
        one_hot = torch.nn.functional.one_hot(torch.from_numpy(preds).long(), num_classes)
        logits = one_hot.permute(2, 0, 1)[None].float()
    confusion = confusion_matrix(target, preds, num_classes)
    return ScoredImage(index, target, preds, confusion, logits)


def random_answer(
    seed: int, num_classes: int, shape: tuple[int, int] = (23, 31), *, ignored: float = 0.1
) -> ScoredImage:
    """Blocks of classes, some pixels ignored, random logits that lean towards the truth."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, num_classes, (shape[0] // 6 + 1, shape[1] // 6 + 1), dtype=np.uint8)
    target = blocks.repeat(6, axis=0).repeat(6, axis=1)[: shape[0], : shape[1]].copy()
    lean = torch.nn.functional.one_hot(torch.from_numpy(target).long(), num_classes)
    noise = torch.randn(*shape, num_classes, generator=torch.Generator().manual_seed(seed))
    logits = (1.5 * noise + 2.0 * lean).permute(2, 0, 1)[None]
    target[rng.random(shape) < ignored] = 255
    preds = logits[0].argmax(dim=0).numpy().astype(np.uint8)
    return answer(target, preds, num_classes, index=seed, logits=logits)


def names(num_classes: int) -> tuple[str, ...]:
    return tuple(f"class_{number}" for number in range(num_classes))
