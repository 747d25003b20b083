"""The ids that other services gave a run, kept so that a resumed run goes on under the same one."""

import json
from pathlib import Path

from dualseg.core.errors import InputError
from dualseg.core.files import write_json

IDS_FILE = "trackers.json"


def known_id(run_folder: Path, tracker: str) -> str | None:
    """The id a tracker's service gave this run; None before the first time.

    Raises:
        InputError: The file is no JSON object of texts.
    """
    return _read(run_folder / IDS_FILE).get(tracker)


def keep_id(run_folder: Path, tracker: str, identity: str) -> None:
    """Notes the id beside those of the other trackers."""
    path = run_folder / IDS_FILE
    write_json(path, {**_read(path), tracker: identity})


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        ids = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        ids = None
    if not isinstance(ids, dict) or not all(isinstance(value, str) for value in ids.values()):
        raise InputError(f"{path} is damaged; delete it, and the trackers begin a run of their own")
    return ids
