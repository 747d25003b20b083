"""Which networks are measured, and what is kept; the measuring itself is the package's."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from camvid_study import latency
from camvid_study.latency import measure_rows, read_latencies
from camvid_study.rows import Row
from camvid_study.summary import Result
from dualseg.checkpoints.model_files import save_model
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.data.datasets.camvid import CAMVID_LABELS
from dualseg.models.catalog import create_model


def finished(folder: Path, name: str, input_scale: float) -> Result:
    """A run whose network is there."""
    model = create_model("lraspp", num_classes=11, backbone="mobilenet_v2")
    save_model(
        folder, model, ModelFacts(model.architecture, CAMVID_LABELS, input_scale=input_scale)
    )
    row = Row(name, "ablation", "90x120", "mobilenet_v2")
    return Result(row, 60, {0: folder}, {0: {}}, None)


def test_equal_networks_are_measured_once_and_all_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    scales = {"low label": 0.5, "full label": 0.5, "full input": 1.0}
    of_place = {name: finished(tmp_path / name, name, scale) for name, scale in scales.items()}
    place = (60, "90x120", "mobilenet_v2")
    monkeypatch.setattr(latency, "read_results", lambda out: {place: of_place})
    asked: list[dict[str, Any]] = []

    def measure(
        specs: Sequence[dict[str, Any]], *, repeats: int, progress: Callable[[int, int], None]
    ) -> list[tuple[dict[str, Any], list[dict[str, float]]]]:
        asked.extend(specs)
        run = {"prepare": 1.0, "tail": 2.0}
        return [
            ({}, [{**run, "network": 10.0 * n + turn} for turn in (5, 0, 1)])
            for n in range(len(specs))
        ]

    monkeypatch.setattr(latency, "measure_in_turns", measure)

    measure_rows(tmp_path, threads=2, even_if_busy=True)

    assert [(spec["label"], spec["runtime"]) for spec in asked] == [
        ("low label", "eager"),
        ("low label", "eager_bf16"),
        ("full input", "eager"),
        ("full input", "eager_bf16"),
    ]
    assert {tuple(spec["size"]) for spec in asked} == {(180, 240)}
    # Networks 1 and 3 in bf16: 10 n + the median turn 1, and 3 ms around it.
    assert read_latencies(tmp_path) == {
        "90x120/mobilenet_v2/low label": 14.0,
        "90x120/mobilenet_v2/full label": 14.0,
        "90x120/mobilenet_v2/full input": 34.0,
    }


def test_a_busy_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(latency.os, "getloadavg", lambda: (1.7, 0.0, 0.0))

    with pytest.raises(InputError, match=r"1\.7 processes were at work"):
        measure_rows(tmp_path, threads=1)


def test_before_a_measurement_there_is_none(tmp_path: Path):
    assert read_latencies(tmp_path) == {}
