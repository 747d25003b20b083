"""A network so small that a file of it fits on one screen."""

import pytest
from torch import nn

from dualseg.core.facts import ModelFacts, default_labels
from dualseg.models.catalog import create_model

TINY = {"backbone": "resnet18", "num_classes": 3}


@pytest.fixture(scope="session")
def network() -> nn.Module:
    """A plain FCN; never changed by a test."""
    return create_model("fcn", **TINY)


@pytest.fixture(scope="session")
def facts(network: nn.Module) -> ModelFacts:
    return ModelFacts(architecture=network.architecture, labels=default_labels(3), score=0.5)
