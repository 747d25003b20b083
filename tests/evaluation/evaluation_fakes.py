"""A data set and networks small enough to work scores out by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dualseg.core.facts import ModelFacts
from dualseg.core.labels import LabelSpec
from dualseg.core.outputs import SegmentationOutput

LABELS = LabelSpec(("dark", "bright"), ((10, 20, 30), (200, 100, 50)))


class TinyDataset:
    """Label maps, and images whose brightness is `drawn` (0 or 1 a pixel)."""

    split = "val"

    def __init__(
        self, targets: Sequence[np.ndarray], drawn: Sequence[np.ndarray], labels: LabelSpec = LABELS
    ):
        self.targets, self.drawn, self.labels = targets, drawn, labels

    def __len__(self) -> int:
        return len(self.targets)

    def name(self, index: int) -> str:
        return f"image_{index}"

    def image(self, index: int) -> np.ndarray:
        return (self.drawn[index] * 255).astype(np.uint8)[..., None].repeat(3, axis=2)

    def label_map(self, index: int) -> np.ndarray:
        return self.targets[index].astype(np.uint8)

    def image_path(self, index: int) -> Path | None:
        return None

    def label_path(self, index: int) -> Path | None:
        return None


class Threshold(nn.Module):
    """Calls bright pixels class 1; right only in evaluation mode, `factor` times as large."""

    def __init__(self, factor: int = 1, input_scale: float = 1.0):
        super().__init__()
        self.factor = factor
        self.weight = nn.Parameter(torch.ones(1))
        self.frozen = nn.BatchNorm2d(1)
        self.facts = ModelFacts(
            {}, LABELS, mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0), input_scale=input_scale
        )

    def forward(self, images: Tensor) -> SegmentationOutput:
        assert not self.training
        bright = images.mean(dim=1, keepdim=True) * self.weight
        bright = nn.functional.interpolate(bright, scale_factor=float(self.factor))
        return SegmentationOutput(torch.cat([-bright, bright], dim=1))
