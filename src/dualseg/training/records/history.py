"""`metrics.jsonl`: one JSON object a line, whole lines only, no step twice."""

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dualseg.core.errors import InputError
from dualseg.core.files import DiskFullError, write_text
from dualseg.core.history import METRICS_FILE, read_history

Entry = dict[str, Any]


class History:
    """The measurements of a run, appended line by line.

    Lines that a full disk refuses are kept in memory, and written with the next one or by `flush`.

    Args:
        run_folder: Where `metrics.jsonl` is.
    """

    def __init__(self, run_folder: Path):
        self.path = run_folder / METRICS_FILE
        self._safe_bytes = self._bytes_there()  # of the file, up to the last flush
        self._lines = b""  # since then
        self._written_bytes = 0  # of them

    def append(self, entry: Mapping[str, Any]) -> None:
        """Writes one line; a number that is not finite becomes null, which JSON has.

        Raises:
            DiskFullError: The line does not fit and is kept; a half of it is dropped on resume.
            InputError: The file cannot be written for another reason.
        """
        plain = {key: _plain(value) for key, value in entry.items()}
        self._lines += json.dumps(plain, allow_nan=False).encode() + b"\n"
        self._write()

    def entries(self) -> list[Entry]:
        """Every whole line; one that a killed process left half-written is dropped."""
        return read_history(self.path)

    def rewind(self, step: int, evaluated_step: int | None) -> None:
        """Forgets what came after a checkpoint.

        Args:
            step: Training lines up to this step stay.
            evaluated_step: Validation lines up to this step stay.
        """
        last = {"train": step, "val": -1 if evaluated_step is None else evaluated_step}
        kept = [entry for entry in self.entries() if entry["step"] <= last[entry["split"]]]
        write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in kept))
        self._all_is_safe()

    def flush(self) -> None:
        """Waits until every line is on the disk; called before a checkpoint counts on them.

        Raises:
            DiskFullError, InputError: As `append`.
        """
        if self._written_bytes < len(self._lines):
            self._write()
        if not self.path.exists():
            return
        with self._disk_errors(), open(self.path, "rb") as file:
            os.fsync(file.fileno())
        self._all_is_safe()

    def _write(self) -> None:
        """What is missing; after an error every line since the last flush, since a disk may take
        a line and refuse it when the file is closed or flushed.
        """
        with self._disk_errors(), open(self.path, "ab", buffering=0) as file:
            if self._written_bytes == 0 and file.tell() > self._safe_bytes:
                file.truncate(self._safe_bytes)
            self._written_bytes += file.write(self._lines[self._written_bytes :]) or 0
        if self._written_bytes != len(self._lines):
            self._written_bytes = 0
            raise self._disk_full("no space left")

    def _all_is_safe(self) -> None:
        self._safe_bytes, self._lines, self._written_bytes = self._bytes_there(), b"", 0

    def _bytes_there(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._written_bytes = 0
            reason = error.strerror or str(error)
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise self._disk_full(reason) from error
            raise InputError(
                f"cannot write {self.path}: {reason}. Checkpoints are intact; make the file "
                "writable and resume"
            ) from error

    def _disk_full(self, reason: str) -> DiskFullError:
        return DiskFullError(
            f"the disk is full: cannot write {self.path}: {reason}. Checkpoints are intact; free "
            "some space and resume"
        )


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
