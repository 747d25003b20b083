"""Reads `metrics.jsonl`, the measurements of a run: one JSON object a line."""

import json
from pathlib import Path
from typing import Any

METRICS_FILE = "metrics.jsonl"


def read_history(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a `metrics.jsonl`, in its order; none where there is no such file.

    A line that a killed process left half-written, and whatever has no `step` and `split`, is
    passed over.
    """
    if not path.is_file():
        return []
    entries = []
    for line in path.read_bytes().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int) and "split" in entry:
            entries.append(entry)
    return entries
