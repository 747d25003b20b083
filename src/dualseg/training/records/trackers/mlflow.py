"""MLflow: a run in the folder `RUN/mlruns`, or at a tracking server."""

import os
import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.training.records.trackers.identity import keep_id, known_id
from dualseg.training.records.trackers.tracker import TrackedRun, flat, missing

MOST_PARAMS = 100
"""MLflow takes so many in one request."""


class MLflow:
    """One run of an experiment; pictures are its images, histograms JSON files among its artifacts.

    The client is used and not MLflow's fluent functions, which keep a global "active run".

    Args:
        run: What is known about it; its recipe becomes the parameters.
        uri: Tracking server or folder; the run folder's `mlruns` where None.

    Raises:
        InputError: Neither mlflow nor mlflow-skinny is installed.
    """

    def __init__(self, run: TrackedRun, *, uri: str | None):
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would tell its makers of use
        if uri is None:
            # A folder needs no database; MLflow asks to be told that this is meant.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        try:
            import mlflow  # pyright: ignore[reportMissingImports]
            from mlflow import entities, tracking  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise missing("mlflow", error) from None
        del mlflow
        self._entities: Any = entities
        self._client: Any = None
        self._create_client: Any = tracking.MlflowClient
        self._uri = uri
        self._run = run
        self._id = ""

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        metric = self._entities.Metric
        metrics = [metric(allowed(name), value, now, step) for name, value in values.items()]
        self._open().log_batch(self._id, metrics=metrics)

    def picture(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        file = f"pictures/{allowed(name)}/{step:08d}.png"
        self._open().log_image(self._id, picture, artifact_file=file)

    def histogram(self, name: str, values: NDArray[np.float32], step: int) -> None:
        counts, edges = np.histogram(values, bins=64)
        content = {"counts": counts.tolist(), "edges": edges.tolist()}
        self._open().log_dict(self._id, content, f"histograms/{allowed(name)}/{step:08d}.json")

    def close(self) -> None:
        if self._client is not None:
            self._client.set_terminated(self._id)

    def _open(self) -> Any:
        if self._client is None:
            uri = self._uri or (self._run.folder.resolve() / "mlruns").as_uri()
            client = self._create_client(tracking_uri=uri)
            self._id = known_id(self._run.folder, "mlflow") or self._new_run(client)
            client.update_run(self._id, status="RUNNING")
            self._client = client
        return self._client

    def _new_run(self, client: Any) -> str:
        experiment = client.get_experiment_by_name(self._run.project)
        if experiment is None:
            experiment_id = client.create_experiment(self._run.project)
        else:
            experiment_id = experiment.experiment_id
        identity = client.create_run(experiment_id, run_name=self._run.name).info.run_id
        params = [
            self._entities.Param(allowed(key), str(value)[:500])
            for key, value in flat(self._run.recipe).items()
        ]
        for start in range(0, len(params), MOST_PARAMS):
            client.log_batch(identity, params=params[start : start + MOST_PARAMS])
        keep_id(self._run.folder, "mlflow", identity)
        return identity


def allowed(name: str) -> str:
    """The name in MLflow's letters: what it does not take becomes `_`."""
    return re.sub(r"[^\w\-. /]", "_", name)
