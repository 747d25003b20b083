"""TensorBoard: event files in `RUN/tensorboard`."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.training.records.run_folder import TENSORBOARD_FOLDER
from dualseg.training.records.trackers.tracker import TrackedRun

EVENTS = "events.out.tfevents"  # how the names of event files begin


class TensorBoard:
    """Event files; the folder is made with the first entry, so that a rehearsal leaves none.

    Args:
        run: Events from its first step on, written before a kill, are superseded.

    Raises:
        ImportError: TensorBoard is not installed.
    """

    def __init__(self, run: TrackedRun):
        from torch.utils.tensorboard import SummaryWriter

        self._create: Any = SummaryWriter
        self._run = run
        self._opened: Any = None

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        self._writer.add_image(name, picture, step, dataformats="HWC")

    def histogram(self, name: str, values: NDArray[np.float32], step: int) -> None:
        self._writer.add_histogram(name, values, step)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    @property
    def _writer(self) -> Any:
        if self._opened is None:
            folder = self._run.folder / TENSORBOARD_FOLDER
            _let_the_second_pass(folder)
            self._opened = self._create(str(folder), purge_step=self._run.first_step)
        return self._opened


def _let_the_second_pass(folder: Path) -> None:
    """Files are read in the order of their names, which begin with the second they were made in;
    of two from one second the later one may be read first, and take away what both hold."""
    while any(folder.glob(f"{EVENTS}.{int(time.time())}.*")):
        time.sleep(0.05)
