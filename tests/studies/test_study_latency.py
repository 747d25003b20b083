"""Which networks are measured, and what is kept; the measuring itself is the package's."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from camvid_study import latency
from camvid_study.latency import measure_rows, read_latencies
from camvid_study.plan import rows_of
from camvid_study.summary import Place, Result
from dualseg.core.errors import InputError
from dualseg.models.catalog import create_model


def finished(name: str) -> Result:
    """A row of which one run is finished; nothing of it is on disk."""
    rows = [
        row
        for part in ("ablation", "variants")
        for row in rows_of(part, sizes=["90x120"], hosts=["mobilenet_v2"])
    ]
    row = next(row for row in rows if row.name == name)
    return Result(row, 60, {0: Path("nowhere")}, {0: {}}, None)


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
    asked = measure(*map(finished, ("low label", "full label", "full input")))

    assert [(spec["label"], spec["runtime"], spec["scale"]) for spec in asked] == [
        ("low label", "eager", 0.5),
        ("low label", "eager_bf16", 0.5),
        ("full input", "eager", 1.0),
        ("full input", "eager_bf16", 1.0),
    ]
    assert {tuple(spec["size"]) for spec in asked} == {(180, 240)}
    # Networks 1 and 3 in bf16: 10 n in the fastest turn, and 3 ms around it.
    assert read_latencies(tmp_path) == {
        "90x120/mobilenet_v2/low label": 13.0,
        "90x120/mobilenet_v2/full label": 13.0,
        "90x120/mobilenet_v2/full input": 33.0,
    }


def test_what_is_dropped_after_training_makes_no_other_network(tmp_path: Path, measure: Measure):
    names = ("full label", "+SSSR", "+SSSR +SISR +FA", "SSSR by pixel shuffle")

    asked = measure(*map(finished, names))

    labels = [spec["label"] for spec in asked if spec["runtime"] == "eager"]
    assert labels == ["full label", "+SSSR", "SSSR by pixel shuffle"]
    times = read_latencies(tmp_path)
    assert times["90x120/mobilenet_v2/+SSSR"] == times["90x120/mobilenet_v2/+SSSR +SISR +FA"]


def test_paths_dropped_in_training_make_no_other_network():
    def network(name: str) -> dict[str, Any]:
        (row,) = (
            row
            for row in rows_of("beyond", sizes=["180x240"], hosts=["regnety_trained"])
            if row.name == name
        )
        return latency._network(row)

    assert network("drop path on full label") == network("strong colours on full label")
    assert network("drop path on full label") != network("drop path on +SSSR")


def test_what_is_measured_is_the_network_that_the_row_trains(tmp_path: Path, measure: Measure):
    (spec, _) = measure(finished("+SSSR +SISR +FA"))

    told = json.loads(json.dumps(spec))  # as the process that measures is
    built = create_model(**told["architecture"]).prune()
    trained = create_model(
        "deeplabv3plus",
        num_classes=11,
        backbone="mobilenet_v2",
        output_stride=16,
        atrous_rates=(2, 4, 6),
        head_options={"channels": 128},
        dsrl={"stage": 1},
    ).prune()
    assert shapes(built) == shapes(trained)


def shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in network.state_dict().items()}


def test_rows_of_two_lengths_are_measured_together(tmp_path: Path, measure: Measure):
    longer = replace(finished("full label"), epochs=100)

    asked = measure(finished("low label"), finished("full label"), longer)

    assert [spec["label"] for spec in asked] == ["low label", "low label"]  # in both runtimes
    times = read_latencies(tmp_path)
    assert times["90x120/mobilenet_v2/low label"] == times["90x120/mobilenet_v2/full label"]


def test_every_variant_has_a_network_that_can_be_measured():
    rows = rows_of("variants", sizes=["90x120"], hosts=["mobilenet_v2"])
    distinct = {json.dumps(latency._network(row), sort_keys=True) for row in rows}
    assert 1 < len(distinct) < len(rows)
    for network in distinct:
        assert create_model(**json.loads(network)["architecture"]).prune() is not None


def test_the_record_says_whether_the_machine_may_have_been_busy(tmp_path: Path, measure: Measure):
    measure(finished("full label"))

    content = json.loads((tmp_path / "latency.json").read_text())
    assert content["even_if_busy"] is True
    assert content["load_before"] >= 0


def test_a_busy_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(latency.os, "getloadavg", lambda: (1.7, 0.0, 0.0))

    with pytest.raises(InputError, match=r"1\.7 processes were at work"):
        measure_rows(tmp_path, threads=1)


def test_before_a_measurement_there_is_none(tmp_path: Path):
    assert read_latencies(tmp_path) == {}
