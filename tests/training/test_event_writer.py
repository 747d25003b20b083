import errno

import pytest
import torch.utils.tensorboard
from runs import Told
from tiny import tiny_recipe

from dualseg.core.files import DiskFullError
from dualseg.training.records.event_writer import EventWriter
from dualseg.training.records.history import History
from dualseg.training.trainer import train

ENTRY = {"step": 2, "split": "train", "loss": 0.5}


class FullDisk:
    """A writer that fails where TensorBoard's own does: on opening, on writing, or on closing."""

    fails_in = "close"

    def __init__(self, folder: str, purge_step: int | None = None):
        self._do("open")

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self._do("add")

    def close(self) -> None:
        self._do("close")

    def _do(self, what: str) -> None:
        if what == self.fails_in:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(params=["open", "add", "close"])
def full_disk(request, monkeypatch) -> None:
    monkeypatch.setattr(FullDisk, "fails_in", request.param)
    monkeypatch.setattr(torch.utils.tensorboard, "SummaryWriter", FullDisk)


@pytest.mark.usefixtures("full_disk")
def test_a_disk_that_refuses_events_is_told_once(tmp_path):
    told = Told()
    events = EventWriter(tmp_path, report=told.message)
    events.add(ENTRY)
    events.add({**ENTRY, "step": 4})
    events.close()
    events.close()
    assert len(told.messages) == 1
    assert "no more TensorBoard events" in told.messages[0]
    assert "No space left on device" in told.messages[0]


@pytest.mark.usefixtures("full_disk", "tiny_world")
def test_a_run_goes_on_without_events(tmp_path):
    told = Told()
    assert train(tiny_recipe(), tmp_path, progress=told).step == 6
    assert len([line for line in told.messages if "TensorBoard" in line]) == 1


@pytest.mark.usefixtures("full_disk", "tiny_world")
def test_the_events_do_not_hide_that_the_disk_is_full(tmp_path, monkeypatch):
    def full(self, entry):
        if entry["step"] == 4:
            raise DiskFullError("cannot write metrics.jsonl")

    monkeypatch.setattr(History, "append", full)
    with pytest.raises(DiskFullError, match=r"metrics\.jsonl"):
        train(tiny_recipe(), tmp_path)


def test_events_are_written(tmp_path):
    events = EventWriter(tmp_path, report=lambda text: pytest.fail(text))
    events.add(ENTRY)
    events.close()
    assert b"train/loss" in next(tmp_path.iterdir()).read_bytes()
