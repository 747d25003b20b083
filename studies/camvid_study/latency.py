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
from camvid_study.summary import read_results
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

Network = tuple[Row, Path]
"""A row, and the file of the network of its first seed that is here."""


def measure_rows(out: Path, *, threads: int | None, even_if_busy: bool = False) -> None:
    """Measures every finished row whose network is here, and writes `OUT/latency.json`.

    Networks of one size and host, however long they were trained, are measured in turns, each in a
    process of its own, so that what slows the machine slows all of them. Networks that differ in
    their weights alone are measured once. The time is from the uint8 picture to the label map of
    its size.

    Raises:
        InputError: The machine is at work, or no network of a finished run is here.
    """
    load = os.getloadavg()[0]
    if load > IDLE and not even_if_busy:
        raise InputError(
            f"{load:.1f} processes were at work in the last minute, and would be measured too; "
            "wait, or give --even-if-busy"
        )
    threads = threads or len(os.sched_getaffinity(0))
    rows: dict[str, Any] = {}
    for (size, host), networks in _networks_here(out).items():
        say(f"{host}, {size} in")
        rows |= _measure_place(networks, threads)
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


def _networks_here(out: Path) -> dict[tuple[str, str], list[Network]]:
    """Size and host -> its rows with a network here; rows without one are named to the user."""
    asked: set[str] = set()
    found: dict[str, Network] = {}
    for results in read_results(out).values():
        for result in results.values():
            asked.add(row_key(result.row))
            files = [result.runs[seed] / MODEL_FILE for seed in result.seeds]
            if file := next((each for each in files if each.is_file()), None):
                found.setdefault(row_key(result.row), (result.row, file))
    if not found:
        raise InputError(f"no network of a finished run lies in {out}; train some there first")
    if lacking := sorted(asked - found.keys()):
        names = ", ".join(lacking)
        say(f"without figures in {LATENCY_FILE}, since no network of theirs lies here: {names}")
    places: dict[tuple[str, str], list[Network]] = {}
    for row, file in found.values():
        places.setdefault((row.size, row.host), []).append((row, file))
    return places


def _measure_place(networks: Sequence[Network], threads: int) -> dict[str, Any]:
    distinct: dict[str, list[Network]] = {}
    for row, file in networks:
        distinct.setdefault(_architecture(file), []).append((row, file))
    specs = [_spec(same[0], runtime, threads) for same in distinct.values() for runtime in RUNTIMES]
    with counting("measuring") as progress:
        measured = measure_in_turns(specs, repeats=REPEATS, progress=progress)
    times = iter(_times(runs) for _, runs in measured)
    rows = {}
    for same in distinct.values():
        of_network = {runtime: next(times) for runtime in RUNTIMES}
        rows |= {row_key(row): of_network for row, _ in same}
    return rows


def _architecture(file: Path) -> str:
    """Equal for networks that differ in nothing but their weights; of DSRL only SSSR is used."""
    facts = load_model(file).facts
    assert facts is not None
    dsrl = facts.architecture.get("dsrl")
    plain = {**facts.architecture, "dsrl": dsrl and dsrl["sssr"], "scale": facts.input_scale}
    return json.dumps(plain, sort_keys=True, default=str)


def _spec(network: Network, runtime: str, threads: int) -> dict[str, Any]:
    row, file = network
    return {
        "label": row.name,
        "model": str(file),
        "architecture": None,
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
