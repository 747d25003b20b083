"""Real SIGKILLs at random moments, many of them inside a save: the end must not differ by a bit.

The parent has imported everything; each life of the run is a fork of it, so that a kill costs
milliseconds. One thread only: OpenMP's threads do not survive a fork.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from runs import assert_same_outcome
from tiny import tiny_recipe

from dualseg.checkpoints import store
from dualseg.core.files import TEMPORARY_MARK, write_bytes
from dualseg.training.trainer import is_finished, resume, train

pytestmark = pytest.mark.usefixtures("tiny_world")

SAVING = b"s"
WRITE_SECONDS = 0.004


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


class Storm:
    """Starts a run again and again, and kills it again and again.

    Args:
        folder: The run.
        recipe: What it trains.
        seed: Of the moments.
    """

    def __init__(self, folder: Path, recipe, seed: int):
        self.folder = folder
        self.recipe = recipe
        self.random = random.Random(seed)
        self.in_save = self.kills = self.stale = 0

    def strike(self, kills: int, *, in_save: int, longest: float) -> None:
        """Kills the run so many times, at least `in_save` of them while it writes a checkpoint."""
        while self.kills < kills:
            self._one_life(hunt_save=self.in_save < in_save, longest=longest)

    def _one_life(self, *, hunt_save: bool, longest: float) -> None:
        seconds = self.random.uniform(0.0, longest)
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            live(self.folder, self.recipe, write_end)
        os.close(write_end)
        if hunt_save:
            for _ in range(self.random.randint(1, 3)):
                os.read(read_end, 1)  # blocks until a save begins, or the child has ended
            seconds = self.random.uniform(0.0, 5 * WRITE_SECONDS)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(read_end)
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, -signal.SIGKILL), "a life of the run ended in an error"
        if code == 0:
            raise AssertionError("the run finished before its kills were used up; make it longer")
        half_written = list((self.folder / "checkpoints").glob(f"{TEMPORARY_MARK}*"))
        self.kills += 1
        self.in_save += any(item.is_dir() for item in half_written)
        self.stale += len(half_written)


def live(folder: Path, recipe, write_end: int) -> None:
    """One life of the run, in a forked child; never returns."""
    code = 1
    try:
        slow_down_saves(write_end)
        if (folder / "config.yaml").exists():
            resume(folder)
        else:
            train(recipe, folder)
        code = 0
    finally:
        os._exit(code)


def slow_down_saves(write_end: int) -> None:
    """Every file of a checkpoint takes a few milliseconds, and the parent hears of each."""

    def write_slowly(path: Path, content: bytes) -> None:
        os.write(write_end, SAVING)
        half = path.with_name(f"{TEMPORARY_MARK}{os.getpid()}-{path.name}")
        half.write_bytes(content[: len(content) // 2])
        time.sleep(WRITE_SECONDS)
        write_bytes(path, content)

    store.write_bytes = write_slowly


def storm(folder: Path, *, kills: int, in_save: int, workers: int, steps: int, seed: int) -> Storm:
    training = {
        "max_steps": steps,
        "eval_every": 7,
        "checkpoint_every": 3,
        "num_workers": workers,
        "optimizer": "adamw",
        "lr": 0.01,
    }
    recipe = tiny_recipe({"training": training})
    train(recipe, folder / "whole")
    attempt = Storm(folder / "killed", recipe, seed)
    attempt.strike(kills, in_save=in_save, longest=0.15 if workers == 0 else 0.3)
    resume(folder / "killed")
    assert is_finished(folder / "killed")
    assert_same_outcome(folder / "killed", folder / "whole")
    return attempt


@pytest.mark.parametrize("workers", [0, 2])
def test_twelve_kills_change_nothing(tmp_path, workers):
    attempt = storm(tmp_path, kills=12, in_save=4, workers=workers, steps=240, seed=workers)
    assert attempt.in_save >= 4


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_hundred_kills_change_nothing(tmp_path, workers):
    attempt = storm(tmp_path, kills=100, in_save=20, workers=workers, steps=900, seed=workers)
    assert attempt.in_save >= 20
    assert attempt.stale > 0
