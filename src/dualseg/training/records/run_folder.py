"""The folder of one run, and the lock by which one process owns it."""

import errno
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dualseg.config import dump_yaml
from dualseg.core.errors import InputError, first_few
from dualseg.core.files import TEMPORARY_MARK, remove_stale, write_text
from dualseg.core.history import METRICS_FILE

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

CONFIG_FILE = "config.yaml"
DATASET_FILE = "dataset.yaml"
LOCK_FILE = "run.lock"
TENSORBOARD_FOLDER = "tensorboard"

_TRACES = (CONFIG_FILE, METRICS_FILE, "checkpoints")


def require_new(folder: Path) -> None:
    """Refuses a folder that holds a run already, or anything else.

    A run that was killed before its first step may have left its lock and half-written files.

    Raises:
        InputError: It does, or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder for the run")
    if any((folder / trace).exists() for trace in _TRACES):
        raise InputError(
            f"{folder} already holds a run; use dualseg resume {folder} or another --out"
        )
    others = sorted(item.name for item in _items(folder) if not _is_left_over(item.name))
    if others:
        raise InputError(
            f"{folder} holds something already; a run needs a new or empty folder, so use another "
            "--out. In it:",
            first_few(others),
        )


def require_run(folder: Path) -> None:
    """Refuses a folder that holds no run.

    Raises:
        InputError: There is no `config.yaml`.
    """
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(
            f"{folder} holds no run: there is no {CONFIG_FILE}; give a folder made by train"
        )


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Makes the folder if need be and holds its lock while the block runs.

    The operating system frees the lock when its owner dies, however that happens. `run.lock` names
    the owner.

    Raises:
        InputError: Another process trains in this folder, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK_FILE, "a+", encoding="utf-8")  # noqa: SIM115  (closing frees it)
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror or error}") from None
    with file:
        _lock(file, folder)
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}) + "\n")
        file.flush()
        remove_stale(folder)
        try:
            yield
        finally:
            file.truncate(0)


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """A YAML file, whole or not at all."""
    write_text(path, dump_yaml(content))


def _items(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror or error}") from None


def _is_left_over(name: str) -> bool:
    return name == LOCK_FILE or name.startswith(TEMPORARY_MARK)


def _lock(file: IO[str], folder: Path) -> None:
    if fcntl is None:
        return
    try:
        # A record lock, unlike flock, is not inherited by loader workers that outlive a killed
        # owner.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            return  # a file system without locks
        file.seek(0)
        raise InputError(
            f"another process trains in {folder} ({_owner(file.read())}); wait for it, or stop it "
            "first"
        ) from None


def _owner(text: str) -> str:
    try:
        owner = json.loads(text)
        return f"process {owner['pid']} on {owner['host']}"
    except (ValueError, KeyError, TypeError):
        return "it has not written its name yet"
