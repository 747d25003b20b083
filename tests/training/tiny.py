"""A network, data and recipe so small that a step takes about a millisecond."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dualseg.config import Recipe, check_recipe
from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import resize_logits
from dualseg.core.labels import LabelSpec
from dualseg.core.outputs import SegmentationOutput

LABELS = LabelSpec(class_names=("dark", "bright"), palette=((0, 0, 0), (255, 255, 255)))


class TinyNetwork(nn.Module):
    """Backbone, norm, dropout and classifier: one of everything that resume can get wrong.

    Args:
        norm: "batch" has running statistics; "group" makes a batch equal to the sum of its parts.
        dropout: Probability.
    """

    def __init__(self, *, norm: str = "batch", dropout: float = 0.25):
        super().__init__()
        layer = nn.BatchNorm2d(6) if norm == "batch" else nn.GroupNorm(2, 6)
        self.backbone = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False), layer)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv2d(6, LABELS.num_classes, 3, padding=1)
        self.architecture: dict[str, Any] = {"name": "tiny", "num_classes": LABELS.num_classes}
        self.facts: ModelFacts | None = None

    def forward(self, images: Tensor) -> SegmentationOutput:
        features = self.dropout(torch.relu(self.backbone(images)))
        size = (images.shape[-2], images.shape[-1])
        return SegmentationOutput(resize_logits(self.classifier(features), size))


class TinyDataset:
    """Noise with a bright square; the square is the second class, one corner is ignored."""

    labels = LABELS

    def __init__(self, length: int, split: str = "train"):
        self.split = split
        self._length = length

    def __len__(self) -> int:
        return self._length

    def name(self, index: int) -> str:
        return f"{self.split}_{index:03d}"

    def image(self, index: int) -> NDArray[np.uint8]:
        noise = self._random(index).integers(0, 120, (20, 24, 3), dtype=np.uint8)
        noise[self.label_map(index) == 1] += 100
        return noise

    def label_map(self, index: int) -> NDArray[np.uint8]:
        top, left = self._random(index + 500).integers(2, 10, 2)
        label_map = np.zeros((20, 24), dtype=np.uint8)
        label_map[top : top + 8, left : left + 8] = 1
        label_map[:3, :3] = 255
        return label_map

    def image_path(self, index: int) -> Path | None:
        return None

    def label_path(self, index: int) -> Path | None:
        return None

    def _random(self, index: int) -> np.random.Generator:
        return np.random.default_rng([index, len(self.split)])


def tiny_recipe(changes: Mapping[str, Mapping[str, Any]] | None = None) -> Recipe:
    """Six steps on one thread; sections in `changes` are laid over."""
    settings: dict[str, Any] = {
        "seed": 5,
        "data": {"name": "streets", "crop_size": [16, 16]},
        "training": {
            "max_steps": 6,
            "batch_size": 4,
            "lr": 0.05,
            "eval_every": 3,
            "checkpoint_every": 2,
            "log_every": 2,
            "ema_decay": 0.9,
        },
        "runtime": {"device": "cpu", "threads": 1},
    }
    for section, values in (changes or {}).items():
        settings[section] = {**settings.get(section, {}), **values}
    return check_recipe(settings, origin="the test's recipe")
