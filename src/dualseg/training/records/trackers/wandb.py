"""Weights & Biases: a run under `RUN/wandb`, sent only when asked."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.training.records.trackers.identity import keep_id, known_id
from dualseg.training.records.trackers.tracker import TrackedRun, missing

STEP = "step"


class WeightsAndBiases:
    """One run, with our own step as its horizontal axis.

    A resumed run goes on under its first id. Its own step counter never goes back, so ours is
    logged beside every value; points that come again after a resume lie on one another.

    Args:
        run: What is known about it; its recipe becomes the configuration.
        mode: "offline" writes files for `wandb sync RUN/wandb/offline-run-*`; "online" sends.

    Raises:
        InputError: wandb is not installed.
    """

    def __init__(self, run: TrackedRun, *, mode: str):
        if mode == "offline":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it tells of its own faults
        try:
            import wandb  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise missing("wandb", error) from None
        self._wandb: Any = wandb
        self._run = run
        self._mode = mode
        self._opened: Any = None

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        self._log(dict(values), step)

    def picture(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        self._log({name: self._wandb.Image(picture)}, step)

    def histogram(self, name: str, values: NDArray[np.float32], step: int) -> None:
        self._log({name: self._wandb.Histogram(values)}, step)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.finish()

    def _log(self, values: dict[str, Any], step: int) -> None:
        if self._opened is None:
            self._opened = self._start()
        self._opened.log({**values, STEP: step})

    def _start(self) -> Any:
        """Neither our output nor the code nor the machine's load is recorded: that is not asked."""
        identity = known_id(self._run.folder, "wandb")
        settings = self._wandb.Settings(
            console="off", disable_git=True, disable_code=True, x_disable_stats=True, silent=True
        )
        opened = self._wandb.init(
            project=self._run.project,
            name=self._run.name,
            dir=str(self._run.folder),
            config=dict(self._run.recipe),
            id=identity,
            resume="allow" if identity else None,
            mode=self._mode,
            settings=settings,
        )
        opened.define_metric(STEP)
        opened.define_metric("*", step_metric=STEP)
        if identity is None:
            keep_id(self._run.folder, "wandb", opened.id)
        return opened
