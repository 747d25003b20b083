"""What was found in files without fault, so that unchanged ones are not decoded again.

One store serves everything that would decode all files: describing a folder, checking, counting
classes. It knows nothing of classes: what it keeps depends on the bytes of a file alone.
"""

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from dualseg.core.errors import InputError
from dualseg.core.files import write_bytes
from dualseg.data.loading.cache import default_cache_folder

FORMAT = 4  # of the files; what is looked at is part of it
SECONDS_WORTH_RECORDING = 1.0
PART = "\0"  # no name holds it
Row = list[Any]  # length and time of change of the file, then what was found
Rows = dict[str, dict[str, Row]]  # kind -> place below the folder -> row
Stamp = tuple[int, int]


class FileRecords:
    """Rows by kind and file, good as long as length and time of change (in nanoseconds) stay.

    The files of a folder and of its neighbours share one file of rows. Whatever does not fit, down
    to a flipped bit, is as if it were not there.

    Args:
        folder: Where rows are kept, made if need be; None: nothing is known, nothing kept.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._known: dict[str, Rows] = {}
        self._new: dict[str, Rows] = {}
        self._lock = threading.Lock()

    def find(self, kind: str, path: Path, part: str = "") -> tuple[Stamp | None, Row | None]:
        """The file's facts as they are now, and what was found in it when they were the same.

        Args:
            kind: What was looked for.
            path: The file; a link counts as what it points to.
            part: Which of several things in the file.
        """
        if self.folder is None:
            return None, None
        try:
            facts = os.stat(path)
        except OSError:
            return None, None
        stamp = facts.st_size, facts.st_mtime_ns
        bucket, place = _place(path, part)
        row = self._rows(bucket).get(kind, {}).get(place)
        known = row is not None and (row[0], row[1]) == stamp
        return stamp, row[2:] if known and row is not None else None

    def keep(self, kind: str, path: Path, stamp: Stamp | None, row: Row, part: str = "") -> None:
        """Notes what was found; it is written by `save`.

        Args:
            kind, path, part: As for `find`.
            stamp: What `find` gave, before the file was read.
            row: Plain values that JSON can hold.
        """
        if stamp is None:
            return
        bucket, place = _place(path, part)
        with self._lock:
            self._new.setdefault(bucket, {}).setdefault(kind, {})[place] = [*stamp, *row]

    def save(self, *, seconds: float) -> None:
        """Adds what is new to the rows on disk, and leaves out those whose files are gone.

        Of two processes that save at once the last one stays. A folder that cannot be written is
        no reason to stop: then the next check takes as long.

        Args:
            seconds: What it took to find out; little is not worth a file.
        """
        if self.folder is None or seconds < SECONDS_WORTH_RECORDING:
            return
        for bucket, rows in self._new.items():
            kept = _load(self._file(bucket))
            for kind, found in rows.items():
                kept.setdefault(kind, {}).update(found)
                self._rows(bucket).setdefault(kind, {}).update(found)
            content = json.dumps(_present(bucket, kept), separators=(",", ":")).encode()
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                write_bytes(self._file(bucket), _hash(content).encode() + b"\n" + content)
            except (OSError, InputError):
                return
        self._new.clear()

    def _rows(self, bucket: str) -> Rows:
        found = self._known.get(bucket)
        if found is None:
            with self._lock:
                found = self._known.get(bucket)
                if found is None:
                    found = self._known[bucket] = _load(self._file(bucket))
        return found

    def _file(self, bucket: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{_hash(f'{FORMAT} {bucket}'.encode())}.json"


def default_records_folder() -> Path:
    """`dualseg/checks` in the folder that the system keeps for caches."""
    return default_cache_folder().parent / "checks"


def _place(path: Path, part: str) -> tuple[str, str]:
    """The folder above the file's own one, and the place below it."""
    full = os.path.join(os.getcwd(), os.fspath(path))
    above, name = os.path.split(full)
    bucket, own = os.path.split(above)
    place = f"{own}/{name}{PART}{part}" if part else f"{own}/{name}"
    return _escaped(bucket), _escaped(place)


def _load(file: Path) -> Rows:
    try:
        digest, _, content = file.read_bytes().partition(b"\n")
        rows = json.loads(content) if digest.decode() == _hash(content) else {}
    except (OSError, ValueError):  # not there, or another program's
        return {}
    return rows if isinstance(rows, dict) else {}


def _present(bucket: str, rows: Rows) -> Rows:
    """The rows of files that are there; of folders that cannot be listed, all."""
    folders = {_split(place)[0] for found in rows.values() for place in found}
    names = {folder: _names(Path(bucket) / folder) for folder in folders}

    def is_there(place: str) -> bool:
        folder, name = _split(place)
        listed = names[folder]
        return listed is None or name in listed

    return {
        kind: {place: row for place, row in found.items() if is_there(place)}
        for kind, found in rows.items()
    }


def _split(place: str) -> tuple[str, str]:
    """Folder and name of the file."""
    folder, _, name = place.partition(PART)[0].partition("/")
    return folder, name


def _names(folder: Path) -> set[str] | None:
    try:
        return set(map(_escaped, os.listdir(folder)))
    except FileNotFoundError:
        return set()
    except OSError:
        return None


def _escaped(name: str) -> str:
    """The same after a round through JSON, also where a byte of the name is no UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
