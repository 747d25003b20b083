import errno
import json
import os
from pathlib import Path

import pytest
import torch

from dualseg.checkpoints.store import CheckpointStore
from dualseg.checkpoints.training_state import Position, TrainingState, read_training_state
from dualseg.core import files
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels

FACTS = ModelFacts(architecture={"name": "fcn", "num_classes": 2}, labels=default_labels(2))


class Run:
    """A store, what it said, and a short way to save."""

    def __init__(self, folder: Path, keep: int = 2):
        self.said: list[str] = []
        self.store = CheckpointStore(folder, keep=keep, report=self.said.append)
        self.folder = self.store.folder

    def save(self, step: int, best: int | None = None) -> Path:
        state = TrainingState(
            position=Position(step=step, best_step=best, summed_losses={"loss": 0.1}),
            recipe={"seed": 3, "data": {"mean": [0.1, 1e-8]}},
            environment={"threads": 1},
            tensors={"optimizer/exp_avg/w": torch.full((4,), step / 3)},
        )
        return self.store.save({"w": torch.full((2, 2), step / 7)}, FACTS, state).folder

    def names(self) -> set[str]:
        return {item.name for item in self.folder.iterdir()}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_checkpoint_comes_back_bit_for_bit(run):
    folder = run.save(12)
    found = run.store.latest()
    state = found.training_state()
    assert (found.step, found.folder) == (12, folder)
    assert torch.equal(found.weights()["w"], torch.full((2, 2), 12 / 7))
    assert torch.equal(state.tensors["optimizer/exp_avg/w"], torch.full((4,), 12 / 3))
    assert state.position == Position(step=12, summed_losses={"loss": 0.1})
    assert state.recipe == {"seed": 3, "data": {"mean": [0.1, 1e-8]}}


def test_there_is_no_pickle_and_every_file_is_listed_with_its_checksum(run):
    folder = run.save(1)
    listed = json.loads((folder / "checksums.json").read_text())
    assert {item.name for item in folder.iterdir()} == {*listed, "checksums.json"}
    assert set(listed) == {
        "model.safetensors",
        "model.json",
        "training_state.safetensors",
        "training_state.json",
    }


def test_nothing_was_ever_saved(run):
    assert run.store.latest() is None


def test_last_and_best_name_their_checkpoints_by_relative_links(run):
    run.save(1, best=1)
    run.save(2, best=1)
    assert os.readlink(run.folder / "last") == "step_00000002"
    assert os.readlink(run.folder / "best") == "step_00000001"


def test_the_newest_and_the_best_are_kept(run):
    for step in range(1, 6):
        run.save(step, best=1 if step < 5 else 5)
        expected = sorted({1, step - 1, step} - {0}) if step < 5 else [4, 5]
        assert run.store.steps() == expected
    assert run.names() == {"step_00000004", "step_00000005", "last", "best"}


def test_more_are_kept_when_asked(tmp_path):
    run = Run(tmp_path, keep=3)
    for step in range(6):
        run.save(step)
    assert run.store.steps() == [3, 4, 5]


def test_keeping_one_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 2"):
        CheckpointStore(tmp_path, keep=1, report=print)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("harm", [truncate, flip_one_bit, zero, os.unlink])
@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "model.json",
        "training_state.safetensors",
        "training_state.json",
        "checksums.json",
    ],
)
def test_a_damaged_newest_checkpoint_is_passed_over_with_a_message(run, harm, name):
    run.save(1)
    newest = run.save(2)
    harm(newest / name)
    assert run.store.latest().step == 1
    assert len(run.said) == 1
    assert str(newest) in run.said[0]
    assert name in run.said[0]
    assert "going on from step 1" in run.said[0]


def test_checksums_that_leave_a_file_out_prove_nothing(run):
    run.save(1)
    (run.save(2) / "checksums.json").write_text("{}")
    assert run.store.latest().step == 1


def test_after_a_fall_back_nothing_good_is_removed_and_the_damaged_one_goes(run):
    run.save(1)
    truncate(run.save(3) / "model.safetensors")
    run.store.latest()
    run.save(2)
    assert run.store.steps() == [1, 2]
    assert run.store.latest().step == 2


def test_a_damaged_checkpoint_is_replaced_when_its_step_comes_again(run):
    run.save(1)
    truncate(run.save(2) / "model.safetensors")
    run.store.latest()
    run.save(2)
    assert Run(run.folder.parent).store.latest().step == 2


def test_when_every_checkpoint_is_damaged_they_are_listed(run):
    truncate(run.save(1) / "model.safetensors")
    flip_one_bit(run.save(2) / "training_state.safetensors")
    with pytest.raises(InputError, match="every checkpoint") as caught:
        run.store.latest()
    assert [line.split(":")[0] for line in caught.value.problems] == [
        "step_00000001",
        "step_00000002",
    ]


def test_best_does_not_name_a_damaged_checkpoint(run):
    run.save(1)
    truncate(run.save(2, best=2) / "model.safetensors")
    run.store.latest()
    run.store.point(1, best_step=2)
    assert run.names() == {"step_00000001", "step_00000002", "last"}
    assert os.readlink(run.folder / "last") == "step_00000001"


def test_leftovers_of_a_killed_process_are_removed(run):
    run.save(1)
    (run.folder / ".tmp-99-step_00000002").mkdir()
    (run.folder / ".tmp-99-step_00000002" / "model.safetensors").write_bytes(b"half")
    (run.folder / ".tmp-99-last").symlink_to("step_00000001")
    assert len(run.store.remove_stale()) == 2
    assert run.names() == {"step_00000001", "last"}


def test_a_run_copied_without_its_links_goes_on(run):
    path = run.save(1)
    (run.folder / "last").unlink()
    (run.folder / "last").mkdir()
    (run.folder / "last" / "model.json").write_text("a copy")
    run.save(2)
    assert path.exists()
    assert os.readlink(run.folder / "last") == "step_00000002"


def test_without_links_last_is_a_copy(run, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EPERM, "no links on this file system")

    monkeypatch.setattr(os, "symlink", refuse)
    for step in (1, 2):
        run.save(step)
    assert (
        json.loads((run.folder / "last" / "training_state.json").read_text())["position"]["step"]
        == 2
    )
    assert run.names() == {"step_00000001", "step_00000002", "last"}


@pytest.mark.parametrize("writes_that_fit", [0, 1, 3, 4])
def test_a_full_disk_leaves_every_earlier_checkpoint_and_says_what_it_needed(
    run, monkeypatch, writes_that_fit
):
    run.save(1, best=1)
    left = [writes_that_fit]

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "sync_folder", lambda folder: None)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(files.DiskFullError) as caught:
        run.save(2, best=2)
    monkeypatch.undo()
    assert "step_00000002" in str(caught.value)
    assert "bytes free" in str(caught.value)
    assert "the checkpoint needs" in str(caught.value)
    assert run.names() == {"step_00000001", "last", "best"}
    assert run.store.latest().step == 1


def test_a_real_limit_on_file_size_leaves_the_earlier_checkpoint(run):
    resource = pytest.importorskip("resource")
    run.save(1)
    child = os.fork()
    if child == 0:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            run.save(2)
        except files.DiskFullError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert run.names() == {"step_00000001", "last"}
    assert run.store.latest().step == 1


def test_a_run_that_will_not_fit_is_refused_beforehand(run, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: _Free(1000))
    run.store.require_space(250)
    with pytest.raises(files.DiskFullError, match=r"needs about 1,004 bytes.*1,000 are free"):
        run.store.require_space(251)


class _Free:
    def __init__(self, free: int):
        self.free = free


def test_a_folder_that_cannot_be_removed_is_a_warning(run, monkeypatch):
    run.save(1)
    run.save(2)
    rename = os.rename

    def refuse(source, target):
        if "-old-" in str(target):
            raise PermissionError(errno.EACCES, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    run.save(3)
    assert run.store.latest().step == 3
    assert any("could not be removed" in line for line in run.said)


def test_a_state_of_another_version_is_refused(run):
    folder = run.save(1)
    path = folder / "training_state.json"
    path.write_text(path.read_text().replace("dualseg-training/1", "dualseg-training/9"))
    with pytest.raises(InputError, match="dualseg-training/9"):
        read_training_state(folder)
