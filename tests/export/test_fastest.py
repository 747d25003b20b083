"""`auto` measures once, remembers what it found, and never takes a runtime that answers wrongly."""

import json

import pytest
import torch

from dualseg.core.errors import InputError
from dualseg.export import fastest as module
from dualseg.export.fastest import FILE, fastest, measured
from dualseg.export.loading import open_file


class Answers:
    """An opened file that answers with one number after some time."""

    def __init__(self, number, seconds, clock, precision="fp32"):
        self.number, self.seconds, self.clock = number, seconds, clock
        self.note = type("Note", (), {"precision": precision})

    def raw_logits(self, images):
        self.clock[0] += self.seconds
        return torch.full((1, 1, 2, 2), self.number)


class Started:
    """What opening a file in a runtime gives, at once."""

    def __init__(self, opened, runtime):
        self.opened, self.runtime = opened, runtime

    def start(self):
        pass


@pytest.fixture
def opened(file_of, monkeypatch):
    """A file that every runtime takes without delay."""
    monkeypatch.setattr(module, "exported_in", Started)
    return open_file(file_of("torch"))


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def test_the_fastest_that_answers_alike_is_found(clock):
    candidates = {
        "eager": Answers(1.0, 3.0, clock),
        "openvino": Answers(1.00001, 2.0, clock),
        "onnxruntime": Answers(1.1, 1.0, clock),
    }
    times = measured(candidates, torch.zeros(1))
    assert times == pytest.approx({"eager": 3.0, "openvino": 2.0})


def test_measured_once_and_remembered(file_of, tmp_path, monkeypatch):
    opened = open_file(file_of("torch"))
    calls = []

    def slow_openvino(candidates, images):
        calls.append(list(candidates))
        return {name: 1.0 + (name == "openvino") for name in candidates}

    monkeypatch.setattr(module, "measured", slow_openvino)
    assert fastest(opened, cache=tmp_path).runtime == "eager"
    assert fastest(opened, cache=tmp_path).runtime == "eager"
    assert len(calls) == 1
    assert "compiled" not in calls[0]
    content = json.loads((tmp_path / FILE).read_text())
    assert list(content["runtimes"].values()) == ["eager"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "x"}', '{"runtimes": 3}'])
def test_a_damaged_memory_is_measured_anew(opened, tmp_path, monkeypatch, content):
    (tmp_path / FILE).write_text(content)
    monkeypatch.setattr(module, "measured", lambda candidates, images: {"eager": 1.0})
    assert fastest(opened, cache=tmp_path).runtime == "eager"
    assert json.loads((tmp_path / FILE).read_text())["format"] == module.FORMAT


def test_other_threads_are_another_machine(opened, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(module, "measured", lambda c, i: calls.append(1) or dict.fromkeys(c, 1.0))
    fastest(opened, cache=tmp_path)
    monkeypatch.setattr(module.torch, "get_num_threads", lambda: 77)
    fastest(opened, cache=tmp_path)
    assert len(calls) == 2


def test_a_runtime_that_was_removed_is_not_asked_for(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "measured", lambda c, i: {list(c)[-1]: 1.0})
    assert fastest(opened, cache=tmp_path).runtime == "openvino"

    def only_eager(opened, runtime):
        if runtime != "eager":
            raise InputError("not installed")
        return Started(opened, runtime)

    monkeypatch.setattr(module, "exported_in", only_eager)
    assert fastest(opened, cache=tmp_path).runtime == "eager"


def test_a_folder_that_cannot_be_written_is_no_error(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "measured", lambda c, i: {"eager": 1.0})
    (tmp_path / "file").write_text("")
    assert fastest(opened, cache=tmp_path / "file" / "below").runtime == "eager"
