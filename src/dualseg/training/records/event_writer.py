"""The history once more as TensorBoard events, for those who like its curves."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class EventWriter:
    """Writes every number of a history entry as `SPLIT/NAME`; does nothing without TensorBoard.

    Events are a copy of the history, so a disk that refuses them ends the events, not the run.

    Args:
        folder: Where the event files go; made with the first entry.
        purge_step: Events from this step on, written before a kill, are superseded.
        report: Is told, once, that no more events are written.
    """

    def __init__(self, folder: Path, *, purge_step: int = 0, report: Callable[[str], None]):
        self._folder = folder
        self._report = report
        self._purge_step = purge_step
        self._writer: Any = None
        self._is_open = False

    def add(self, entry: Mapping[str, Any]) -> None:
        """Writes the numbers of one entry."""
        with self._without_disk_errors():
            self._add(entry)

    def close(self) -> None:
        """Writes what is still buffered."""
        with self._without_disk_errors():
            if self._writer is not None:
                self._writer.close()

    def _add(self, entry: Mapping[str, Any]) -> None:
        if not self._is_open:
            self._open()
        if self._writer is None:
            return
        for name, value in entry.items():
            if name != "step" and isinstance(value, int | float):
                self._writer.add_scalar(f"{entry['split']}/{name}", value, entry["step"])

    def _open(self) -> None:
        self._is_open = True
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(self._folder), purge_step=self._purge_step or None)

    @contextmanager
    def _without_disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer = None
            reason = error.strerror or error
            self._report(
                f"warning: no more TensorBoard events in {self._folder} ({reason}); "
                "metrics.jsonl holds every number"
            )
