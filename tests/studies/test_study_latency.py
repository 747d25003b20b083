"""Which networks are measured, and what is kept; the measuring itself is the package's."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from camvid_study import latency
from camvid_study.latency import measure_rows, read_latencies
from camvid_study.rows import Row
from camvid_study.summary import Place, Result
from dualseg.checkpoints.model_files import save_model
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.data.datasets.camvid import CAMVID_LABELS
from dualseg.models.catalog import create_model


def finished(
    folder: Path, name: str, input_scale: float = 0.5, dsrl: dict[str, Any] | None = None
) -> Result:
    """A run whose network is there."""
    model = create_model(
        "lraspp", num_classes=11, backbone="mobilenet_v2", dsrl=False if dsrl is None else dsrl
    )
    save_model(
        folder, model, ModelFacts(model.architecture, CAMVID_LABELS, input_scale=input_scale)
    )
    row = Row(name, "ablation", "90x120", "mobilenet_v2")
    return Result(row, 60, {0: folder}, {0: {}}, None)


Specs = list[dict[str, Any]]
Measure = Callable[..., Specs]


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Gives the finished runs to `measure_rows`; returns what would be measured."""
    asked: Specs = []

    def measure_in_turns(
        specs: Sequence[dict[str, Any]], *, repeats: int, progress: Callable[[int, int], None]
    ) -> list[tuple[dict[str, Any], list[dict[str, float]]]]:
        asked.extend(specs)
        run = {"prepare": 1.0, "tail": 2.0}
        return [
            ({}, [{**run, "network": 10.0 * n + turn} for turn in (5, 0, 1)])
            for n in range(len(specs))
        ]

    def of(*results: Result) -> Specs:
        places: dict[Place, dict[str, Result]] = {}
        for result in results:
            place = (result.epochs, "90x120", "mobilenet_v2")
            places.setdefault(place, {})[result.row.name] = result
        monkeypatch.setattr(latency, "read_results", lambda out: places)
        monkeypatch.setattr(latency, "measure_in_turns", measure_in_turns)
        measure_rows(tmp_path, threads=2, even_if_busy=True)
        return asked

    return of


def test_equal_networks_are_measured_once_and_all_in_turns(tmp_path: Path, measure: Measure):
    scales = {"low label": 0.5, "full label": 0.5, "full input": 1.0}

    asked = measure(*(finished(tmp_path / name, name, scale) for name, scale in scales.items()))

    assert [(spec["label"], spec["runtime"]) for spec in asked] == [
        ("low label", "eager"),
        ("low label", "eager_bf16"),
        ("full input", "eager"),
        ("full input", "eager_bf16"),
    ]
    assert {tuple(spec["size"]) for spec in asked} == {(180, 240)}
    # Networks 1 and 3 in bf16: 10 n in the fastest turn, and 3 ms around it.
    assert read_latencies(tmp_path) == {
        "90x120/mobilenet_v2/low label": 13.0,
        "90x120/mobilenet_v2/full label": 13.0,
        "90x120/mobilenet_v2/full input": 33.0,
    }


def test_what_is_dropped_after_training_makes_no_other_network(tmp_path: Path, measure: Measure):
    options = {
        "full label": None,
        "+SSSR": {"stage": 1},
        "+SSSR +SISR +FA": {"stage": 3},
        "SSSR by pixel shuffle": {"stage": 1, "sssr": "pixel_shuffle"},
    }

    asked = measure(*(finished(tmp_path / name, name, dsrl=o) for name, o in options.items()))

    labels = [spec["label"] for spec in asked if spec["runtime"] == "eager"]
    assert labels == ["full label", "+SSSR", "SSSR by pixel shuffle"]
    times = read_latencies(tmp_path)
    assert times["90x120/mobilenet_v2/+SSSR"] == times["90x120/mobilenet_v2/+SSSR +SISR +FA"]


def test_rows_of_two_lengths_are_measured_together(tmp_path: Path, measure: Measure):
    short = [finished(tmp_path / name, name) for name in ("low label", "full label")]
    longer = replace(finished(tmp_path / "longer", "full label"), epochs=100)

    asked = measure(*short, longer)

    assert [spec["label"] for spec in asked] == ["low label", "low label"]  # in both runtimes
    times = read_latencies(tmp_path)
    assert times["90x120/mobilenet_v2/low label"] == times["90x120/mobilenet_v2/full label"]


def test_the_first_seed_whose_network_is_here_is_measured(
    tmp_path: Path, measure: Measure, capsys: pytest.CaptureFixture[str]
):
    row = finished(tmp_path / "seed_1", "full label")
    here = replace(row, runs={0: tmp_path / "seed_0", 1: row.runs[0]}, scores={0: {}, 1: {}})
    gone = replace(row, row=replace(row.row, name="+SSSR"), runs={0: tmp_path / "nowhere"})

    asked = measure(here, gone)

    assert {spec["model"] for spec in asked} == {str(tmp_path / "seed_1" / "model.safetensors")}
    assert list(read_latencies(tmp_path)) == ["90x120/mobilenet_v2/full label"]
    said = capsys.readouterr().err
    assert "no network of theirs lies here: 90x120/mobilenet_v2/+SSSR\n" in said


def test_where_no_network_is_here_nothing_is_measured(tmp_path: Path, measure: Measure):
    row = finished(tmp_path / "network", "full label")

    with pytest.raises(InputError, match="no network of a finished run lies in"):
        measure(replace(row, runs={0: tmp_path / "nowhere"}))
    assert not (tmp_path / "latency.json").exists()


def test_the_record_says_whether_the_machine_may_have_been_busy(tmp_path: Path, measure: Measure):
    measure(finished(tmp_path / "network", "full label"))

    content = json.loads((tmp_path / "latency.json").read_text())
    assert content["even_if_busy"] is True
    assert content["load_before"] >= 0


def test_a_busy_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(latency.os, "getloadavg", lambda: (1.7, 0.0, 0.0))

    with pytest.raises(InputError, match=r"1\.7 processes were at work"):
        measure_rows(tmp_path, threads=1)


def test_before_a_measurement_there_is_none(tmp_path: Path):
    assert read_latencies(tmp_path) == {}
