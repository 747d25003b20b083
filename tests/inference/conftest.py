"""A network that calls dark pixels class 0 and bright ones class 1."""

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from dualseg.core.facts import ModelFacts
from dualseg.core.labels import LabelSpec
from dualseg.core.outputs import SegmentationOutput

if TYPE_CHECKING:
    from dualseg.inference.predictor import Predictor

LABELS = LabelSpec(("dark", "bright"), ((10, 20, 30), (200, 100, 50)))
FACTS = ModelFacts({}, LABELS, mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0))


class Threshold(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.facts = FACTS

    def forward(self, images: Tensor) -> SegmentationOutput:
        brightness = images.mean(dim=1, keepdim=True) * self.weight
        return SegmentationOutput(torch.cat([-brightness, brightness], dim=1))


@pytest.fixture
def predictor() -> "Predictor":
    from dualseg.inference.predictor import Predictor

    return Predictor(Threshold())
