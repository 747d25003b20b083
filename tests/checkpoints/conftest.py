"""A network so small that a file of it fits on one screen; a watched reader of foreign files."""

import time
from pathlib import Path

import pytest
from torch import nn

from dualseg.checkpoints.foreign.read import read_foreign
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.models.catalog import create_model

MAX_SECONDS = 1.0
MAX_RISE = 64 << 20
STATUS = Path("/proc/self/status")
TINY = {"backbone": "resnet18", "num_classes": 3}


@pytest.fixture(scope="session")
def network() -> nn.Module:
    """A plain FCN; never changed by a test."""
    return create_model("fcn", **TINY)


@pytest.fixture(scope="session")
def facts(network: nn.Module) -> ModelFacts:
    return ModelFacts(architecture=network.architecture, labels=default_labels(3), score=0.5)


@pytest.fixture
def victim(tmp_path):
    """A file that only a payload would make."""
    return tmp_path / "victim"


@pytest.fixture
def bounded(victim):
    """Reads a file in little time and memory; returns the reason if it was refused."""

    def read(path):
        can_measure = _forget_peak()
        before, start = _memory("VmRSS"), time.process_time()
        message = None
        try:
            read_foreign(path)
        except InputError as error:
            message = str(error)
        assert time.process_time() - start < MAX_SECONDS
        assert not can_measure or _memory("VmHWM") - before < MAX_RISE
        assert not victim.exists()
        return message

    return read


@pytest.fixture
def refused(bounded):
    """Reads a file that must be refused, and returns the reason."""

    def read(path):
        message = bounded(path)
        assert message is not None
        assert "\n" not in message
        assert str(path) in message
        return message

    return read


def _memory(key):
    if not STATUS.exists():
        return 0
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def _forget_peak():
    """Lets Linux count the peak anew; False where it cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
