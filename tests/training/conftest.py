"""`train` and `resume` with the tiny network and data in place of real ones."""

import pytest
from tiny import TinyDataset, TinyNetwork

from dualseg.data.catalog import Splits
from dualseg.training import network, trainer


@pytest.fixture
def tiny_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but network and data is the real thing."""
    splits = Splits(TinyDataset(11), TinyDataset(3, "val"), ())
    monkeypatch.setattr(trainer, "open_splits", lambda settings, **_: splits)
    monkeypatch.setattr(network, "create_model", lambda name, **architecture: TinyNetwork())
