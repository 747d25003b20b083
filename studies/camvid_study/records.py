"""`--records`: what is kept of finished runs without their networks, small enough for a repository.

A folder of records is a study's folder without networks: `--tables` reads it, and a copy of it goes
on as a study whose finished rows are not trained again.
"""

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from camvid_study.latency import LATENCY_FILE
from camvid_study.ledger import Entry, Ledger, Session, read_ledger
from camvid_study.network_tables import MEASURES
from camvid_study.scoring import SCORES_FILE
from dualseg.core.errors import InputError
from dualseg.core.files import make_folder, new_file
from dualseg.core.history import METRICS_FILE

KEPT = (SCORES_FILE, METRICS_FILE)  # tables and intervals; learning curves
FOLDER_OPTIONS = ("--data", "--out")


def write_records(out: Path, target: Path) -> int:
    """Adds the finished runs of a study to a folder of records; what is there already stays.

    Only what was measured on networks is replaced where the study has measured some; latencies as
    a whole, since those of different measurements cannot be compared.

    Args:
        out: The study's folder.
        target: Made where it is missing.

    Returns:
        The number of runs added.

    Raises:
        InputError: Nothing is finished yet, or a run is there already, trained at another time, or
            runs there have other pictures in train or val, or the folder cannot be made; nothing is
            written then.
    """
    finished = [entry for entry in read_ledger(out).values() if entry.finished]
    if not finished:
        raise InputError(f"no run in {out} is finished yet; train some first (--data DIR)")
    data = next((entry.data for entry in finished if entry.data), None)
    ledger = Ledger(target, data=data)
    ledger.require_same_data()
    there = ledger.entries
    new = []
    for entry in map(_without_places, finished):
        if entry.run not in there:
            new.append(entry)
        elif asdict(there[entry.run]) != asdict(entry):
            raise InputError(
                f"{target} has another {entry.run}, trained at another time; remove its line and "
                "its folder there to take this one, or write to another folder"
            )
    for entry in new:
        make_folder(target / entry.run)
        for name in KEPT:
            _copy(out / entry.run / name, target / entry.run / name)
    ledger.add(new)
    if (out / LATENCY_FILE).is_file():
        _copy(out / LATENCY_FILE, target / LATENCY_FILE)
    for entry in finished:
        for file in MEASURES:
            if (out / entry.run / file).is_file():
                _copy(out / entry.run / file, target / entry.run / file)
    return len(new)


def _copy(source: Path, target: Path) -> None:
    with new_file(target) as file:
        shutil.copyfile(source, file)


def _without_places(entry: Entry) -> Entry:
    """Where folders lie on one machine is nobody else's business: their last names stay."""
    return replace(entry, sessions=tuple(_without_place(session) for session in entry.sessions))


def _without_place(session: Session) -> Session:
    return replace(session, command=shlex.join(_last_names(shlex.split(session.command))))


def _last_names(words: Sequence[str]) -> list[str]:
    kept, option = [], ""
    for word in words:
        name, equals, path = word.partition("=")
        if option in FOLDER_OPTIONS:
            kept.append(Path(word).name)
        elif equals and name in FOLDER_OPTIONS:
            kept.append(f"{name}={Path(path).name}")
        else:
            kept.append(word)
        option = word
    return kept
