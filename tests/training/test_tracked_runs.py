"""Whole runs that are watched."""

import errno
from pathlib import Path

import pytest
import torch.utils.tensorboard
from runs import StopAt, Told, assert_same_outcome, train_until
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer
from tiny import tiny_recipe

from dualseg.core.errors import InputError
from dualseg.core.files import DiskFullError
from dualseg.training.records.history import History
from dualseg.training.records.trackers import trackers
from dualseg.training.records.trackers.tracker import missing
from dualseg.training.trainer import resume, train

pytestmark = pytest.mark.usefixtures("tiny_world")


class FullDisk:
    """A writer that fails where TensorBoard's own does: on opening, on writing, or on closing."""

    fails_in = "close"

    def __init__(self, folder: str, purge_step: int | None = None):
        self._do("open")

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self._do("add")

    def add_image(self, name: str, picture, step: int, dataformats: str) -> None:
        self._do("picture")

    def close(self) -> None:
        self._do("close")

    def _do(self, what: str) -> None:
        if what == self.fails_in:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(params=["open", "add", "picture", "close"])
def full_disk(request, monkeypatch) -> None:
    monkeypatch.setattr(FullDisk, "fails_in", request.param)
    monkeypatch.setattr(torch.utils.tensorboard, "SummaryWriter", FullDisk)


@pytest.mark.usefixtures("full_disk")
def test_a_run_goes_on_when_the_disk_refuses_events_and_says_so_once(tmp_path):
    told = Told()
    assert train(tiny_recipe(), tmp_path, progress=told).step == 6
    (message,) = [line for line in told.messages if "tracker tensorboard failed" in line]
    assert "No space left on device" in message


@pytest.mark.usefixtures("full_disk")
def test_the_events_do_not_hide_that_the_disk_is_full(tmp_path, monkeypatch):
    def full(self, entry=None):
        if entry is None or entry["step"] == 4:
            raise DiskFullError("cannot write metrics.jsonl")

    monkeypatch.setattr(History, "append", full)
    monkeypatch.setattr(History, "flush", full)
    with pytest.raises(DiskFullError, match=r"metrics\.jsonl"):
        train(tiny_recipe(), tmp_path)


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(
        str(folder / "tensorboard"), size_guidance={"images": 0, "histograms": 0}
    ).Reload()


def test_a_run_leaves_curves_and_pictures(tmp_path):
    train(tiny_recipe(), tmp_path)
    seen = events(tmp_path)
    assert [event.step for event in seen.Scalars("train/loss")] == [2, 4, 6]
    assert [event.step for event in seen.Scalars("val/miou")] == [3, 6]
    assert [event.step for event in seen.Images("samples/val_002")] == [3, 6]
    assert seen.Tags()["histograms"] == []


def test_histograms_come_on_demand(tmp_path):
    train(tiny_recipe({"tracking": {"histograms": True, "pictures": 0}}), tmp_path)
    seen = events(tmp_path)
    assert [event.step for event in seen.Histograms("weights/classifier.weight")] == [3, 6]
    assert seen.Tags()["images"] == []


def test_after_a_stop_no_step_stands_twice(tmp_path):
    train_until(tiny_recipe(), tmp_path, StopAt(3))
    resume(tmp_path)
    assert [event.step for event in events(tmp_path).Scalars("train/loss")] == [2, 4, 6]


def test_a_run_resumed_within_a_second_is_read_in_order(tmp_path, monkeypatch):
    counter = iter(range(9, 99))  # the end of a file's name: "10" is sorted before "9"
    monkeypatch.setattr(event_file_writer._global_uid, "get", counter.__next__)
    train_until(tiny_recipe(), tmp_path, StopAt(3))
    resume(tmp_path)
    assert [event.step for event in events(tmp_path).Scalars("train/loss")] == [2, 4, 6]


def test_being_watched_changes_no_bit(tmp_path):
    train(tiny_recipe({"tracking": {"trackers": []}}), tmp_path / "alone")
    train(tiny_recipe({"tracking": {"histograms": True}}), tmp_path / "watched")
    assert not (tmp_path / "alone" / "tensorboard").exists()
    assert_same_outcome(tmp_path / "alone", tmp_path / "watched")


def test_a_missing_package_is_told_before_the_first_step_and_leaves_nothing(tmp_path, monkeypatch):
    def absent(run, mode):
        raise missing("wandb", ModuleNotFoundError("No module named 'wandb'"))

    monkeypatch.setattr(trackers, "WeightsAndBiases", absent)
    with pytest.raises(InputError, match=r"pip install 'dualseg\[wandb\]'"):
        train(tiny_recipe({"tracking": {"trackers": ["wandb"]}}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_stopped_run_may_go_on_with_another_tracker(tmp_path):
    train_until(tiny_recipe(), tmp_path, StopAt(3))
    result = resume(tmp_path, overrides=["tracking.trackers=[]"])
    assert result.step == 6
    assert [event.step for event in events(tmp_path).Scalars("train/loss")] == [2]
