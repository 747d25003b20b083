"""Latency of the finished networks, measured in turns on an idle machine, and kept."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

from camvid_study.ledger import describe_machine
from camvid_study.plan import MODEL_FILE
from camvid_study.rows import SIZES, Row
from camvid_study.summary import Result, read_results
from dualseg.checkpoints.json_files import read_json
from dualseg.checkpoints.model_files import load_model
from dualseg.cli.benchmark_turns import measure_in_turns
from dualseg.cli.console import counting, say
from dualseg.core.errors import InputError
from dualseg.core.files import write_json

LATENCY_FILE = "latency.json"
RUNTIMES = ("eager", "eager_bf16")
SHOWN = "eager_bf16"
REPEATS = 25
IDLE = 0.5  # processes at work on average in the last minute


def measure_rows(out: Path, *, threads: int | None, even_if_busy: bool = False) -> None:
    """Measures every finished row and writes `OUT/latency.json`.

    Networks of one size and host are measured in turns, each in a process of its own, so that what
    slows the machine slows all of them. Networks that differ in their weights alone are measured
    once. The time is from the uint8 picture to the label map of its size.

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
    for (_, size, host), results in read_results(out).items():
        say(f"{host}, {size} in")
        rows |= _measure_place(list(results.values()), threads)
    content = {
        "machine": describe_machine(threads),
        "load_before": load,
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


def _measure_place(results: Sequence[Result], threads: int) -> dict[str, Any]:
    distinct: dict[str, list[Result]] = {}
    for result in results:
        distinct.setdefault(_network(result), []).append(result)
    specs = [_spec(same[0], runtime, threads) for same in distinct.values() for runtime in RUNTIMES]
    with counting("measuring") as progress:
        measured = measure_in_turns(specs, repeats=REPEATS, progress=progress)
    times = iter(_times(runs) for _, runs in measured)
    rows = {}
    for same in distinct.values():
        of_network = {runtime: next(times) for runtime in RUNTIMES}
        rows |= {row_key(result.row): of_network for result in same}
    return rows


def _network(result: Result) -> str:
    """Equal for networks that differ in nothing but their weights; of DSRL only SSSR is used."""
    facts = load_model(_model(result)).facts
    assert facts is not None
    dsrl = facts.architecture.get("dsrl")
    plain = {**facts.architecture, "dsrl": dsrl and dsrl["sssr"], "scale": facts.input_scale}
    return json.dumps(plain, sort_keys=True, default=str)


def _spec(result: Result, runtime: str, threads: int) -> dict[str, Any]:
    return {
        "label": result.row.name,
        "model": str(_model(result)),
        "architecture": None,
        "size": list(SIZES[result.row.size].picture),
        "batch": 1,
        "rewrites": "plain",
        "threads": threads,
        "runtime": runtime,
    }


def _model(result: Result) -> Path:
    return result.runs[result.seeds[0]] / MODEL_FILE


def _times(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    totals = [run["prepare"] + run["network"] + run["tail"] for run in runs]
    networks = [run["network"] for run in runs]
    return {"median_ms": median(totals), "fastest_ms": min(totals), "network_ms": median(networks)}
