"""Visdom: windows on a running server, or a file that can be replayed to one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from dualseg.core.files import write_text
from dualseg.training.records.trackers.tracker import TrackedRun, missing

EVENTS_FILE = "visdom.jsonl"
DEFAULT_PORT = 8097


class Visdom:
    """One environment of windows, one for each number or picture.

    Args:
        run: Project and name become the environment's name.
        server: Address of a running server. None writes `RUN/visdom.jsonl`, which
            `visdom.Visdom().replay_log(...)` shows later.

    Raises:
        InputError: visdom is not installed.
    """

    def __init__(self, run: TrackedRun, *, server: str | None):
        try:
            import visdom  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise missing("visdom", error) from None
        self._create: Any = visdom.Visdom
        self._server = server
        self._file = run.folder / EVENTS_FILE
        self._environment = f"{run.project}_{run.name}".replace("/", "_")
        self._opened: Any = None
        self._begun: set[str] = set()

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        windows = self._open()
        for name, value in values.items():
            # A server is asked whether it has the window; without one we have to know.
            goes_on = self._server is not None or name in self._begun
            windows.line(
                [value],
                X=[step],
                win=name,
                update="append" if goes_on else None,
                opts={"title": name, "xlabel": "step"},
            )
            self._begun.add(name)

    def picture(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        shown = np.ascontiguousarray(picture.transpose(2, 0, 1))
        options = {"caption": f"step {step}", "title": name, "store_history": True}
        self._open().image(shown, win=name, opts=options)

    def histogram(self, name: str, values: NDArray[np.float32], step: int) -> None:
        options = {"numbins": 64, "title": f"{name}, step {step}"}
        self._open().histogram(values, win=name, opts=options)

    def close(self) -> None:
        if self._opened is not None and self._server is not None:
            self._opened.save([self._environment])

    def _open(self) -> Any:
        if self._opened is None:
            self._opened = self._connect(self._server) if self._server else self._write()
        return self._opened

    def _write(self) -> Any:
        self._begun = windows_begun(self._file)
        return self._create(env=self._environment, offline=True, log_to_filename=str(self._file))

    def _connect(self, server: str) -> Any:
        address = urlsplit(server)
        return self._create(
            server=f"{address.scheme}://{address.hostname}",
            port=address.port or DEFAULT_PORT,
            base_url=address.path.rstrip("/") or "/",
            env=self._environment,
            raise_exceptions=True,
            use_incoming_socket=False,
        )


def windows_begun(file: Path) -> set[str]:
    """The windows an events file has already; a line that a kill cut off is dropped from it."""
    if not file.exists():
        return set()
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        write_text(file, "".join(lines[:-1]))
        lines = lines[:-1]
    return {json.loads(line)[1].get("win") for line in lines}
