"""What a long run meets: full disks, requests to save, steps that are not finite, odd clocks."""

import errno
import io
import json
import os
import signal
import time

import pytest
import torch
from runs import StopAt, Told, assert_same_outcome, train_until
from tiny import tiny_recipe

from dualseg.checkpoints import store
from dualseg.checkpoints.store import CheckpointStore
from dualseg.core.errors import InputError
from dualseg.core.files import DiskFullError, write_bytes
from dualseg.training import setup
from dualseg.training.records import history
from dualseg.training.records.run_folder import LOCK_FILE, owned
from dualseg.training.step import NonFiniteLossError
from dualseg.training.trainer import resume, train

pytestmark = pytest.mark.usefixtures("tiny_world")


def fail_writes(monkeypatch, is_full) -> None:
    """Writing a checkpoint's file fails as on a full disk while `is_full(step)` says so."""

    def write(path, content):
        if is_full(int(path.parent.name.rpartition("step_")[2])):
            raise DiskFullError(f"no space left to write {path} (7 bytes free)")
        write_bytes(path, content)

    monkeypatch.setattr(store, "write_bytes", write)


def test_a_disk_that_is_full_for_a_while_loses_nothing(tmp_path, monkeypatch):
    train(tiny_recipe(), tmp_path / "whole")
    fail_writes(monkeypatch, lambda step: step in (2, 3))
    told = Told()
    train(tiny_recipe(), tmp_path / "run", progress=told)
    warnings = [line for line in told.messages if "the next save is tried" in line]
    assert len(warnings) == 2
    assert "the checkpoint needs" in warnings[0]
    assert_same_outcome(tmp_path / "run", tmp_path / "whole")


def test_a_disk_that_stays_full_ends_the_run_with_the_newest_checkpoint_intact(
    tmp_path, monkeypatch
):
    recipe = tiny_recipe({"training": {"max_steps": 40, "checkpoint_every": 1}})
    fail_writes(monkeypatch, lambda step: step >= 4)
    told = Told()
    with pytest.raises(DiskFullError, match=r"step_00000004.*the checkpoint needs"):
        train(recipe, tmp_path, progress=told)
    assert len([line for line in told.messages if "the next save is tried" in line]) == 2
    assert CheckpointStore(tmp_path, report=print).latest().step == 3


def fail_lines(monkeypatch, is_full) -> None:
    """The history's lines are refused as on a full disk while `is_full(line)` says so."""

    class Disk(io.FileIO):
        def write(self, content):
            if is_full(content):
                super().write(content[:9])
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(content)

    def open_file(path, mode, **_):
        return Disk(path, mode[0])

    monkeypatch.setattr(history, "open", open_file, raising=False)


@pytest.mark.parametrize("refused", [1, 2, 3])
def test_a_disk_too_full_for_a_line_for_a_while_loses_nothing(tmp_path, monkeypatch, refused):
    train(tiny_recipe(), tmp_path / "whole")
    left = [True] * refused
    fail_lines(monkeypatch, lambda line: bool(left) and left.pop())
    told = Told()
    train(tiny_recipe(), tmp_path / "run", progress=told)
    (warning,) = [line for line in told.messages if "The run goes on; the line is kept" in line]
    assert "the disk is full" in warning
    assert_same_outcome(tmp_path / "run", tmp_path / "whole")


def test_a_disk_that_takes_no_more_lines_ends_the_run_which_can_be_resumed(tmp_path, monkeypatch):
    train(tiny_recipe(), tmp_path / "whole")
    with monkeypatch.context() as patch:
        fail_lines(patch, lambda line: b'"step": 4' in line)
        with pytest.raises(
            DiskFullError, match=r"the disk is full.*Step 3 is saved; dualseg resume .*run goes on"
        ):
            train(tiny_recipe(), tmp_path / "run")
    assert not (tmp_path / "run/metrics.jsonl").read_bytes().endswith(b"\n")
    resume(tmp_path / "run")
    assert_same_outcome(tmp_path / "run", tmp_path / "whole")


def test_a_best_network_that_could_not_be_saved_leaves_the_best_one_before_it(
    tmp_path, monkeypatch
):
    scores = iter([0.3, 0.6, 0.2])  # after steps 2, 4 and 6

    def create_evaluate(*parts):
        return lambda network, watch: {"miou": next(scores), "protocol": {"name": "whole"}}

    monkeypatch.setattr(setup, "_create_evaluate", create_evaluate)
    fail_writes(monkeypatch, lambda step: step == 4)
    recipe = tiny_recipe({"training": {"eval_every": 2, "checkpoint_every": 1}})
    assert train(recipe, tmp_path).best_miou == 0.3
    assert (tmp_path / "checkpoints/best").readlink().name == "step_00000002"
    assert (tmp_path / "checkpoints/best/model.safetensors").exists()


def test_the_last_save_of_all_is_not_given_up_silently(tmp_path, monkeypatch):
    fail_writes(monkeypatch, lambda step: step == 6)
    with pytest.raises(DiskFullError):
        train(tiny_recipe(), tmp_path)


def test_a_signal_saves_and_the_run_goes_on(tmp_path):
    recipe = tiny_recipe({"training": {"checkpoint_every": 100, "eval_every": 100}})
    seen = []

    class Look(StopAt):
        def stepped(self, step, *rest):
            super().stepped(step, *rest)
            seen.append((tmp_path / "run/checkpoints/last").readlink().name)

    train(recipe, tmp_path / "run", progress=Look(3, signum=signal.SIGUSR1))
    assert seen[:5] == ["step_00000000"] * 3 + ["step_00000003"] * 2
    train(recipe, tmp_path / "whole")
    assert_same_outcome(tmp_path / "run", tmp_path / "whole")


def explode_in(*steps):
    """The usual objective, not finite in these steps."""
    usual = setup.create_objective

    def create(recipe, labels, **options):
        objective = usual(recipe, labels, **options)

        def broken(output, batch, step):
            factor = float("nan") if step in steps else 1.0
            return {k: v * factor for k, v in objective(output, batch, step).items()}

        return broken

    return create


SKIP = {"training": {"on_nan": "skip", "max_skipped_steps": 2}}


def test_steps_that_are_not_finite_are_skipped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(setup, "create_objective", explode_in(1, 4))
    told = Told()
    result = train(tiny_recipe(SKIP), tmp_path, progress=told)
    assert result.step == 6
    assert len([line for line in told.messages if "it is skipped" in line]) == 2
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["split"] == "train"]
    assert len(losses) == 3
    assert all(loss is not None for loss in losses)


@pytest.mark.parametrize("step", [2, 3, 5])
def test_skips_are_remembered_over_a_stop(tmp_path, monkeypatch, step):
    monkeypatch.setattr(setup, "create_objective", explode_in(1, 4))
    train(tiny_recipe(SKIP), tmp_path / "whole")
    train_until(tiny_recipe(SKIP), tmp_path / "stopped", StopAt(step))
    resume(tmp_path / "stopped")
    assert_same_outcome(tmp_path / "stopped", tmp_path / "whole")
    monkeypatch.setattr(setup, "create_objective", explode_in(1, 2, 4))
    train_until(tiny_recipe(SKIP), tmp_path / "more", StopAt(3))
    with pytest.raises(NonFiniteLossError, match=r"3 steps of this run.*max_skipped_steps is 2"):
        resume(tmp_path / "more")


def test_a_clock_that_runs_backwards_changes_nothing(tmp_path, monkeypatch):
    train(tiny_recipe(), tmp_path / "whole")
    now = [2e9]

    def backwards() -> float:
        now[0] -= 3600
        return now[0]

    monkeypatch.setattr(time, "time", backwards)
    train_until(tiny_recipe(), tmp_path / "run", StopAt(3))
    resume(tmp_path / "run")
    assert_same_outcome(tmp_path / "run", tmp_path / "whole")


def test_the_lock_names_process_and_host(tmp_path):
    with owned(tmp_path):
        told = json.loads((tmp_path / LOCK_FILE).read_text())
        assert told == {"pid": os.getpid(), "host": os.uname().nodename}


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path, monkeypatch):
    real_mkdir = os.mkdir

    def refuse(path, *rest, **options):
        if str(path).endswith("run"):
            raise OSError(errno.EROFS, "Read-only file system")
        return real_mkdir(path, *rest, **options)

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(InputError, match=r"cannot write into .*Read-only file system"):
        train(tiny_recipe(), tmp_path / "run")


def test_the_first_of_equal_scores_stays_best(tmp_path, monkeypatch):
    def create_evaluate(*parts):
        protocol = {"name": "whole"}
        return lambda network, watch: {"miou": 0.5, "protocol": protocol}

    monkeypatch.setattr(setup, "_create_evaluate", create_evaluate)
    train(tiny_recipe({"training": {"eval_every": 1, "checkpoint_every": 1}}), tmp_path)
    assert (tmp_path / "checkpoints/best").readlink().name == "step_00000001"


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lamb"])
def test_two_deterministic_runs_are_equal_to_the_bit(tmp_path, optimizer):
    recipe = tiny_recipe({"training": {"optimizer": optimizer}})
    recipe = recipe.model_copy(
        update={"runtime": recipe.runtime.model_copy(update={"deterministic": True})}
    )
    modes = []

    class Watch(Told):
        def stepped(self, *_):
            modes.append(torch.are_deterministic_algorithms_enabled())

    train(recipe, tmp_path / "one", progress=Watch())
    train(recipe, tmp_path / "two")
    assert_same_outcome(tmp_path / "one", tmp_path / "two")
    assert all(modes)
    assert not torch.are_deterministic_algorithms_enabled()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


def test_fp16_on_a_cpu_is_refused_with_its_reason(tmp_path):
    with pytest.raises(InputError, match=r"fp16 is for CUDA.*use bf16 or fp32"):
        train(tiny_recipe({"training": {"precision": "fp16"}}), tmp_path)
