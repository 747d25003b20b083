"""What a check found in files without fault, so that unchanged ones are not decoded again."""

import hashlib
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from dualseg.core.errors import InputError
from dualseg.core.files import write_bytes
from dualseg.core.geometry import Size
from dualseg.data.cache import default_cache_folder
from dualseg.data.dataset import FileDataset, Pair

FORMAT = 1  # of the file; what a check looks at is part of it
Key = tuple[str, ...]


class Checked(NamedTuple):
    """A pair without fault: its size, kind of image, and pixels by class id."""

    size: Size
    kind: str
    pixels: dict[int, int]


class CheckRecords:
    """Results by the facts of both files: path, length and time of change in nanoseconds.

    One file holds a split's results under the meaning of its label values; whatever does not fit,
    down to a flipped bit, is as if it were not there.

    Args:
        dataset: The split.
        folder: Made if need be.
    """

    def __init__(self, dataset: FileDataset, folder: Path):
        self.dataset = dataset
        self.file = folder / f"{_hash(_meaning(dataset))}.json"
        self._known = _load(self.file)

    def key(self, pair: Pair) -> Key | None:
        """The facts of both files as they are now; None where one cannot be asked."""
        try:
            image, label = pair.image.stat(), pair.label.stat()
        except OSError:
            return None
        facts = image.st_size, image.st_mtime_ns, label.st_size, label.st_mtime_ns
        return (_escaped(pair.name), *map(_absolute, (pair.image, pair.label)), *map(str, facts))

    def get(self, key: Key | None) -> Checked | None:
        """What was found then, or None."""
        return None if key is None else self._known.get(key)

    def save(self, results: Iterable[tuple[Key, Checked]]) -> None:
        """Replaces the file. Another process may do so too: the last one stays.

        A folder that cannot be written is no reason to stop: then the next check takes as long.
        """
        rows = [[*key, *found.size, found.kind, found.pixels] for key, found in results]
        content = json.dumps(rows, separators=(",", ":")).encode()
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(self.file, _hash(content).encode() + b"\n" + content)
        except (OSError, InputError):
            return


def default_records_folder() -> Path:
    """`dualseg/checks` in the folder that the system keeps for caches."""
    return default_cache_folder().parent / "checks"


def _load(file: Path) -> dict[Key, Checked]:
    try:
        digest, _, content = file.read_bytes().partition(b"\n")
        if digest.decode() != _hash(content):
            return {}
        return dict(map(_row, json.loads(content)))
    except (OSError, ValueError, TypeError, LookupError):  # not there, or another program's
        return {}


def _row(row: list[Any]) -> tuple[Key, Checked]:
    *key, height, width, kind, pixels = row
    counts = {int(class_id): int(count) for class_id, count in pixels.items()}
    return tuple(key), Checked((height, width), kind, counts)


def _meaning(dataset: FileDataset) -> bytes:
    """Everything a result depends on, but for the files themselves."""
    labels = dataset.labels
    parents = sorted({_absolute(pair.image.parent) for pair in dataset.pairs})
    parts = (
        FORMAT,
        dataset.split,
        sorted(labels.values.items()),
        labels.palette,
        _reader_name(dataset),
        parents,
    )
    return repr(parts).encode()


def _reader_name(dataset: FileDataset) -> str:
    reader = dataset._read_values
    while isinstance(reader, partial):
        reader = reader.func
    return f"{reader.__module__}.{getattr(reader, '__qualname__', type(reader).__qualname__)}"


def _absolute(path: Path) -> str:
    return _escaped(str(path.absolute()))


def _escaped(name: str) -> str:
    """The same after a round through JSON, also where a byte of the name is no UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
