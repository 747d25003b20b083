"""A signal to the whole process group, as a terminal's Ctrl-C or a scheduler's SIGTERM is.

Each run is a forked child that leads a group of its own, so that its loader's workers are hit too.
"""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from runs import assert_same_outcome
from tiny import tiny_recipe

from dualseg.checkpoints.store import CheckpointStore
from dualseg.config import Recipe
from dualseg.data.loading import loaders
from dualseg.training.interruption import Interrupted
from dualseg.training.progress import Silent
from dualseg.training.trainer import is_finished, resume, train

pytestmark = pytest.mark.usefixtures("tiny_world")

WORKERS = {"training": {"num_workers": 2}}
SECONDS_FOR_WORKERS_TO_DIE = 0.3


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


class WaitAt(Silent):
    """Says when a step is reached, and waits there for a signal and its consequences."""

    def __init__(self, step: int, write_end: int):
        self.step = step
        self.write_end = write_end

    def stepped(self, step: int, max_steps: int, losses: Mapping[str, float], lr: float) -> None:
        if step == self.step:
            os.write(self.write_end, b"s")
            time.sleep(SECONDS_FOR_WORKERS_TO_DIE)  # a signal handler runs, and the sleep goes on


def exit_code(recipe: Recipe, folder: Path, *, step: int, signum: int) -> int:
    """How a run that leads its own process group ends when the group is signalled at a step."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read_end)
            os.setpgid(0, 0)
            train(recipe, folder, progress=WaitAt(step, write_end))
            code = 0
        except Interrupted as interrupted:
            (folder / "said").write_text(str(interrupted))
            code = interrupted.exit_code
        finally:
            os._exit(code)
    os.close(write_end)
    os.read(read_end, 1)
    os.killpg(child, signum)  # not the run itself: torch's workers forgive a signal of their parent
    os.close(read_end)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_group_leaves_the_workers_to_the_run(tmp_path, signum, code):
    recipe = tiny_recipe(WORKERS)
    train(recipe, tmp_path / "whole")
    assert exit_code(recipe, tmp_path / "run", step=3, signum=signum) == code
    assert os.readlink(tmp_path / "run/checkpoints/last") == "step_00000003"
    resume(tmp_path / "run")
    assert_same_outcome(tmp_path / "run", tmp_path / "whole")


def test_a_worker_that_died_in_the_middle_of_a_step_costs_only_time(tmp_path, monkeypatch):
    recipe = tiny_recipe(WORKERS)
    train(recipe, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(loaders, "_start_worker", lambda worker: None)  # hit before they could start
        assert exit_code(recipe, tmp_path / "run", step=3, signum=signal.SIGTERM) == 143
    assert (tmp_path / "run/said").read_text().startswith("interrupted after step 2;")
    assert os.readlink(tmp_path / "run/checkpoints/last") == "step_00000002"
    resume(tmp_path / "run")
    assert_same_outcome(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("moment", ["before", "in"])
def test_a_signal_that_comes_with_the_last_save_stops_what_would_follow(
    tmp_path, monkeypatch, moment
):
    class AfterTheLastValidation(Silent):
        def evaluated(self, step: int, *rest: object) -> None:
            if step == 6 and moment == "before":
                os.kill(os.getpid(), signal.SIGTERM)

    save = CheckpointStore.save

    def save_and_signal(store, weights, facts, state):
        if state.position.step == 6 and moment == "in":
            os.kill(os.getpid(), signal.SIGTERM)
        return save(store, weights, facts, state)

    monkeypatch.setattr(CheckpointStore, "save", save_and_signal)
    with pytest.raises(Interrupted, match="interrupted after step 6; the state is saved"):
        train(tiny_recipe(), tmp_path, progress=AfterTheLastValidation())
    assert is_finished(tmp_path)
    assert resume(tmp_path).step == 6


def test_an_error_of_our_own_is_no_interruption(tmp_path):
    class Broken(Silent):
        def stepped(self, *args: object) -> None:
            raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        train(tiny_recipe(), tmp_path, progress=Broken())
