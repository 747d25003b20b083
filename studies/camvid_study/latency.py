"""Latency of the finished rows' networks, measured in turns on an idle machine, and kept."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

from camvid_study.ledger import describe_machine
from camvid_study.plan import plan_runs, recipe_of
from camvid_study.rows import SIZES, Row
from camvid_study.summary import read_results
from dualseg.checkpoints.json_files import read_json
from dualseg.cli.benchmark_turns import measure_in_turns
from dualseg.cli.console import counting, say
from dualseg.core.errors import InputError
from dualseg.core.files import write_json
from dualseg.data.datasets.camvid import CAMVID_LABELS
from dualseg.training.network import architecture_of

LATENCY_FILE = "latency.json"
RUNTIMES = ("eager", "eager_bf16")
SHOWN = "eager_bf16"
REPEATS = 50
IDLE = 0.5  # processes at work on average in the last minute


def measure_rows(out: Path, *, threads: int | None, even_if_busy: bool = False) -> None:
    """Measures the network of every finished row, and writes `OUT/latency.json`.

    What a network takes does not depend on its weights: it is built anew from the row's recipe, and
    rows that differ in their training alone are measured once. Those of one size and host, however
    long they were trained, are measured in turns, each in a process of its own, so that what slows
    the machine slows all of them. The time is from the uint8 picture to the label map of its size.

    Raises:
        InputError: The machine is at work, or nothing is finished yet.
    """
    load = os.getloadavg()[0]
    if load > IDLE and not even_if_busy:
        raise InputError(
            f"{load:.1f} processes were at work in the last minute, and would be measured too; "
            "wait, or give --even-if-busy"
        )
    threads = threads or len(os.sched_getaffinity(0))
    rows: dict[str, Any] = {}
    for (size, host), finished in _finished_rows(out).items():
        say(f"{host}, {size} in")
        rows |= _measure_place(finished, threads)
    content = {
        "machine": describe_machine(threads),
        "load_before": load,
        "even_if_busy": even_if_busy,
        "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "repeats": REPEATS,
        "rows": rows,
    }
    write_json(out / LATENCY_FILE, content)


def read_latencies(out: Path) -> dict[str, float]:
    """Row's key -> milliseconds of the fastest round in the runtime that is shown.

    Empty before a measurement. On a share of a machine others take seconds at a time, in which most
    of a network's rounds may fall; its fastest round is what they disturb least.
    """
    path = out / LATENCY_FILE
    if not path.is_file():
        return {}
    return {key: times[SHOWN]["fastest_ms"] for key, times in read_json(path)["rows"].items()}


def row_key(row: Row) -> str:
    """What a row is called in the file."""
    return f"{row.size}/{row.host}/{row.name}"


def _finished_rows(out: Path) -> dict[tuple[str, str], list[Row]]:
    """Size and host -> the rows that are finished there, after however many epochs."""
    places: dict[tuple[str, str], dict[str, Row]] = {}
    for results in read_results(out).values():
        for row in (result.row for result in results.values()):
            places.setdefault((row.size, row.host), {})[row.name] = row
    return {place: list(rows.values()) for place, rows in places.items()}


def _measure_place(rows: Sequence[Row], threads: int) -> dict[str, Any]:
    distinct: dict[str, list[Row]] = {}
    for row in rows:
        distinct.setdefault(json.dumps(_network(row), sort_keys=True), []).append(row)
    specs = [_spec(same[0], runtime, threads) for same in distinct.values() for runtime in RUNTIMES]
    with counting("measuring") as progress:
        measured = measure_in_turns(specs, repeats=REPEATS, progress=progress)
    times = iter(_times(runs) for _, runs in measured)
    found = {}
    for same in distinct.values():
        of_network = {runtime: next(times) for runtime in RUNTIMES}
        found |= {row_key(row): of_network for row in same}
    return found


def _network(row: Row) -> dict[str, Any]:
    """Architecture and scale, equal for rows whose networks are one when they are used.

    Of DSRL only SSSR is left by then, and no path is dropped.
    """
    (run,) = plan_runs([row], seeds=[0], epochs=1, out=Path("study"))
    recipe = recipe_of(run, data=Path("CamVid"), num_images=1, threads=None)
    architecture = architecture_of(recipe, num_classes=CAMVID_LABELS.num_classes)
    if architecture["dsrl"]:
        architecture["dsrl"] = {"stage": 1, "sssr": architecture["dsrl"]["sssr"]}
    options = dict(architecture["backbone_options"] or {})
    options.pop("drop_path_rate", None)
    architecture["backbone_options"] = options or None
    return {"architecture": architecture, "scale": recipe.data.input_scale}


def _spec(row: Row, runtime: str, threads: int) -> dict[str, Any]:
    return {
        "label": row.name,
        **_network(row),
        "size": list(SIZES[row.size].picture),
        "batch": 1,
        "rewrites": "plain",
        "threads": threads,
        "runtime": runtime,
    }


def _times(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    totals = [run["prepare"] + run["network"] + run["tail"] for run in runs]
    networks = [run["network"] for run in runs]
    return {"median_ms": median(totals), "fastest_ms": min(totals), "network_ms": median(networks)}
