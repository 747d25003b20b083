"""Cross-entropy over a data set."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from dualseg.metrics.collector import ScoredImage

UNITS = 1 << 32
"""Sums over an image are kept in this fraction of a nat, as whole numbers."""


class CrossEntropy:
    """Mean negative log-likelihood over all valid pixels, in nats: each pixel counts alike."""

    def __init__(self) -> None:
        self.units = 0
        self.pixels = 0

    def add(self, image: ScoredImage) -> None:
        target = torch.from_numpy(image.target).to(image.logits.device, torch.int64)[None]
        loss = F.cross_entropy(
            image.logits.float(), target, ignore_index=image.ignore_index, reduction="none"
        )
        self.units += round(float(loss.sum(dtype=torch.float64)) * UNITS)
        self.pixels += int((image.target != image.ignore_index).sum())

    def merge(self, other: "CrossEntropy") -> None:
        self.units += other.units
        self.pixels += other.pixels

    def result(self, class_names: Sequence[str]) -> dict[str, Any]:
        return {"cross_entropy": self.units / UNITS / self.pixels if self.pixels else None}
