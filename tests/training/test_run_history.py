import errno
import io
import json
import os
import resource
from pathlib import Path

import pytest

from dualseg.core.errors import InputError
from dualseg.core.files import DiskFullError
from dualseg.training.records import history as records_history
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
    history = History(tmp_path)
    with pytest.raises(DiskFullError, match=r"metrics\.jsonl: No space left.*resume"):
        history.append({"step": 1, "split": "train"})
    with pytest.raises(DiskFullError, match=r"disk is full.*metrics\.jsonl: No space left.*resume"):
        history.flush()


def fail_once(monkeypatch, method) -> None:
    """The next file opened fails in this method as on a full disk, after some bytes went out."""
    fails = [True]

    class Full(io.FileIO):
        def write(self, content):
            if method == "write" and fails.pop():
                super().write(content[:7])
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(content)

        def close(self):
            super().close()
            if method == "close" and any(fails):
                fails.clear()
                raise OSError(errno.ENOSPC, "No space left on device")

    def fail_sync(descriptor):
        if fails:
            fails.clear()
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        records_history, "open", lambda path, mode, **_: Full(path, mode[:1]), raising=False
    )
    if method == "fsync":
        monkeypatch.setattr(os, "fsync", fail_sync)


def write(history, *, step) -> None:
    history.append({"step": step, "split": "train"})
    history.flush()


@pytest.mark.parametrize("method", ["write", "close", "fsync"])
def test_a_line_that_a_full_disk_refused_stands_there_once_when_there_is_space(
    history, monkeypatch, method
):
    with monkeypatch.context() as patch:
        fail_once(patch, method)
        with pytest.raises(DiskFullError, match=r"metrics\.jsonl: No space left.*resume"):
            write(history, step=8)
    write(history, step=10)
    assert [entry["step"] for entry in history.entries()] == [2, 4, 4, 6, 8, 10]
    assert history.path.read_bytes().count(b"\n") == 6


def test_a_size_limit_that_cuts_a_line_in_two_loses_nothing(history):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (history.path.stat().st_size + 7, hard))
    try:
        with pytest.raises(DiskFullError, match="no space left"):
            history.append({"step": 8, "split": "train"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(History(history.path.parent).entries()) == 4
    history.flush()
    assert [entry["step"] for entry in history.entries()] == [2, 4, 4, 6, 8]
    assert history.path.read_bytes().count(b"\n") == 5


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
