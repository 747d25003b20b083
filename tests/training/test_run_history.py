import errno
import json
import os
from pathlib import Path

import pytest

from dualseg.core.errors import InputError
from dualseg.core.files import DiskFullError
from dualseg.training.records.history import History


@pytest.fixture
def history(tmp_path):
    history = History(tmp_path)
    for step in (2, 4):
        history.append({"step": step, "split": "train", "loss": 0.1 * step})
    history.append({"step": 4, "split": "val", "miou": 0.25})
    history.append({"step": 6, "split": "train", "loss": 0.2})
    return history


def test_lines_come_back_exactly(history):
    assert [entry["step"] for entry in history.entries()] == [2, 4, 4, 6]
    assert history.entries()[0]["loss"] == 0.1 * 2


def test_a_half_written_line_is_dropped(history):
    with open(history.path, "ab") as file:
        file.write(b'{"step": 8, "spl')
    assert len(history.entries()) == 4
    history.rewind(6, evaluated_step=4)
    assert history.path.read_bytes().count(b"\n") == 4
    assert all(json.loads(line) for line in history.path.read_text().splitlines())


def test_what_came_after_the_checkpoint_is_forgotten(history):
    history.rewind(4, evaluated_step=4)
    assert [(e["step"], e["split"]) for e in history.entries()] == [
        (2, "train"),
        (4, "train"),
        (4, "val"),
    ]


def test_a_validation_the_checkpoint_does_not_know_is_forgotten(history):
    history.rewind(4, evaluated_step=None)
    assert [(e["step"], e["split"]) for e in history.entries()] == [(2, "train"), (4, "train")]


def test_rewinding_leaves_the_remaining_lines_as_they_were(history):
    before = history.path.read_bytes().splitlines()
    history.rewind(4, evaluated_step=4)
    assert history.path.read_bytes().splitlines() == before[:3]


def test_a_number_that_is_not_finite_becomes_null(history):
    history.append({"step": 8, "split": "train", "loss": float("nan")})
    assert history.entries()[-1]["loss"] is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_full_disk_is_explained(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(DiskFullError, match=r"metrics\.jsonl: No space left.*resume"):
        History(tmp_path).append({"step": 1, "split": "train"})


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_quota_and_size_limit_are_a_full_disk_too(history, monkeypatch, number):
    def refuse(descriptor):
        raise OSError(number, "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DiskFullError, match=r"metrics\.jsonl: refused"):
        history.flush()


def test_what_is_no_full_disk_is_not_called_one(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(InputError, match=r"metrics\.jsonl: Is a directory") as caught:
        History(tmp_path).append({"step": 1, "split": "train"})
    assert not isinstance(caught.value, DiskFullError)
    assert "free some space" not in str(caught.value)


def test_there_is_no_history_yet(tmp_path):
    assert History(tmp_path).entries() == []
    History(tmp_path).flush()
    History(tmp_path).rewind(0, None)
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""
