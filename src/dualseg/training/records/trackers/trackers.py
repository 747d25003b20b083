"""All trackers of a run as one; a tracker that fails is dropped, and the run goes on."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.config import TrackingSettings
from dualseg.training.records.trackers.mlflow import MLflow
from dualseg.training.records.trackers.tensorboard import TensorBoard
from dualseg.training.records.trackers.tracker import TrackedRun, Tracker
from dualseg.training.records.trackers.visdom import Visdom
from dualseg.training.records.trackers.wandb import WeightsAndBiases


def create_trackers(
    settings: TrackingSettings, run: TrackedRun, *, report: Callable[[str], None]
) -> "Trackers":
    """The trackers a recipe names. Their packages are imported now; nothing is written yet.

    TensorBoard, which nobody has to ask for, may be missing; `report` hears of it.

    Raises:
        InputError: Another tracker's package is not installed.
    """
    create: dict[str, Callable[[], Tracker]] = {
        "wandb": lambda: WeightsAndBiases(run, mode=settings.wandb_mode),
        "mlflow": lambda: MLflow(run, uri=settings.mlflow_uri),
        "visdom": lambda: Visdom(run, server=settings.visdom_server),
    }
    trackers = {name: create[name]() for name in settings.trackers if name in create}
    if "tensorboard" in settings.trackers:
        try:
            trackers["tensorboard"] = TensorBoard(run)
        except ImportError as error:
            report(f"warning: no TensorBoard events ({error}): pip install tensorboard")
    return Trackers(trackers, report=report)


class Trackers:
    """Hands everything to every tracker. `metrics.jsonl` is the record; these are copies of it.

    A copy must not end a run, nor hide why one ends: whatever a tracker raises, it is told once
    and gets nothing more.

    Args:
        trackers: By name.
        report: Is told of one that failed.
    """

    def __init__(self, trackers: Mapping[str, Tracker], *, report: Callable[[str], None]):
        self._trackers = dict(trackers)
        self._report = report

    @property
    def are_watching(self) -> bool:
        """Whether any is left; without one no picture has to be drawn."""
        return bool(self._trackers)

    def entry(self, entry: Mapping[str, Any]) -> None:
        """The finite numbers of one history entry, as `SPLIT/NAME`."""
        values = {
            f"{entry['split']}/{name}": float(value)
            for name, value in entry.items()
            if name != "step" and isinstance(value, int | float) and math.isfinite(value)
        }
        for name, tracker in list(self._trackers.items()):
            with self._dropped_if_it_fails(name):
                tracker.numbers(values, entry["step"])

    def picture(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """One (H, W, 3) RGB picture."""
        for tracker_name, tracker in list(self._trackers.items()):
            with self._dropped_if_it_fails(tracker_name):
                tracker.picture(name, picture, step)

    def histogram(self, name: str, values: NDArray[np.float32], step: int) -> None:
        """How the numbers of a flat array are distributed; one that is not finite is left out."""
        finite = values[np.isfinite(values)]
        if not len(finite):
            return
        for tracker_name, tracker in list(self._trackers.items()):
            with self._dropped_if_it_fails(tracker_name):
                tracker.histogram(name, finite, step)

    def close(self) -> None:
        """Nothing more comes."""
        for name, tracker in list(self._trackers.items()):
            with self._dropped_if_it_fails(name):
                tracker.close()

    @contextmanager
    def _dropped_if_it_fails(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            del self._trackers[name]
            reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
            self._report(
                f"warning: tracker {name} failed ({reason[0]}) and gets nothing more; the run goes "
                "on, and metrics.jsonl holds every number"
            )
