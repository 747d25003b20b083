"""Starts, stops and compares whole runs of the tiny network."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dualseg.config import Recipe
from dualseg.training.interruption import Interrupted
from dualseg.training.progress import Silent
from dualseg.training.trainer import train


class StopAt(Silent):
    """Sends this process a signal after a step, or in the middle of a validation."""

    def __init__(self, step: int, *, in_evaluation: bool = False, signum: int = signal.SIGTERM):
        self.step = step
        self.in_evaluation = in_evaluation
        self.signum = signum
        self._now = 0

    def stepped(self, step: int, max_steps: int, losses: Mapping[str, float], lr: float) -> None:
        self._now = step
        if step == self.step and not self.in_evaluation:
            os.kill(os.getpid(), self.signum)

    def looking(self, what: str, done: int, total: int) -> None:
        pass

    def evaluating(self, done: int, total: int) -> None:
        if self._now == self.step and self.in_evaluation and done == 1:
            os.kill(os.getpid(), self.signum)


class Told(Silent):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def train_until(recipe: Recipe, folder: Path, stop: StopAt) -> Interrupted:
    """Trains until the signal; the exception that tells of it."""
    try:
        train(recipe, folder, progress=stop)
    except Interrupted as interrupted:
        return interrupted
    raise AssertionError("the run was not interrupted")


def outcome(folder: Path) -> dict[str, Any]:
    """Everything a finished run is judged by, in comparable form. Speed and versions are not."""
    checkpoints = folder / "checkpoints"
    result: dict[str, Any] = {
        "last": os.readlink(checkpoints / "last"),
        "best": os.readlink(checkpoints / "best"),
        "history": [
            {key: value for key, value in json.loads(line).items() if key != "images_per_second"}
            for line in (folder / "metrics.jsonl").read_text().splitlines()
        ],
    }
    for link in ("last", "best"):
        for name in ("model.safetensors", "model.json", "training_state.safetensors"):
            result[f"{link}/{name}"] = (checkpoints / link / name).read_bytes()
        numbers = json.loads((checkpoints / link / "training_state.json").read_text())
        result[f"{link}/position"] = numbers["position"]
    return result


def assert_same_outcome(folder: Path, other: Path) -> None:
    """Weights, average, optimiser, counters, history, best and last: equal to the bit."""
    ours, theirs = outcome(folder), outcome(other)
    different = [key for key in ours if ours[key] != theirs[key]]
    assert not different, different
