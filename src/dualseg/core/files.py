"""Files that are whole or not there: temporary name, flush to disk, rename."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from dualseg.core.errors import InputError

TEMPORARY_MARK = ".tmp-"


class DiskFullError(InputError):
    """The disk (or quota, or file size limit) cannot hold what was to be written."""


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Calls `write(file)` on a temporary file beside `path`, flushes it to disk and renames it.

    Under `path` there is either what was there before or the whole new content, also after a kill
    or a power cut.

    Raises:
        DiskFullError: No space is left; the temporary file is removed, the old content stays.
        InputError: It cannot be written for another reason: no such folder, no permission, a
            read-only disk, a name too long.
    """
    with new_file(path) as temporary, open(temporary, "wb") as file:
        write(file)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary name that becomes `path` when the block ends well, and vanishes otherwise.

    For libraries that write files themselves; it ends as `path` does, since many of them choose the
    format by that. What they wrote is flushed to disk first.

    Raises:
        DiskFullError, InputError: As `write_atomic`.
    """
    temporary = _temporary(path)
    with _disk_errors(path):
        try:
            yield temporary
            with open(temporary, "r+b") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """`write_atomic` for bytes at hand."""
    write_atomic(path, lambda file: file.write(content))


def write_text(path: Path, content: str) -> None:
    r"""`write_atomic` for text, UTF-8.

    A byte of a file name that is no UTF-8 stands in Python as half a surrogate pair; it is written
    as `\udcXX`, which JSON reads back as the same text.
    """
    write_bytes(path, content.encode("utf-8", errors="backslashreplace"))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """`write_atomic` for JSON; infinities and NaN are refused, since JSON has none."""
    write_text(path, json_text(content))


def json_text(content: Mapping[str, Any]) -> str:
    """What `write_json` writes."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, and vanishes otherwise.

    Raises:
        InputError: `path` exists already or cannot be made; DiskFullError where space ran out.
    """
    temporary = _temporary(path)
    with _disk_errors(path):
        temporary.mkdir(parents=True)
        try:
            yield temporary
            sync_folder(temporary)
            os.rename(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(path.parent)


def _temporary(path: Path) -> Path:
    """A name of this process alone; in containers that share a folder, process ids are alike."""
    if not path.name:
        raise InputError(f"cannot write {path}: it is a folder that stands; name something in it")
    return path.with_name(f"{TEMPORARY_MARK}{os.getpid()}-{uuid4().hex[:8]}-{path.name}")


def make_folder(path: Path) -> None:
    """Makes a folder and those above it; one that is there stays as it is.

    Raises:
        InputError: A file is in the way, or nothing may be written there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {path}: {error.strerror}") from None


def remove_stale(folder: Path, *, keep_living: bool = False) -> list[Path]:
    """Removes temporary files and folders that a killed process left in `folder`; returns them.

    Args:
        folder: Where they lie.
        keep_living: For a folder that no lock keeps others out of: what another process of this
            machine is still writing stays.
    """
    stale = list(folder.glob(f"{TEMPORARY_MARK}*"))
    if keep_living:
        stale = [item for item in stale if not _is_of_another_living(item.name)]
    for item in stale:
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item, ignore_errors=True)
        else:
            item.unlink(missing_ok=True)
    return stale


def _is_of_another_living(name: str) -> bool:
    pid = name.removeprefix(TEMPORARY_MARK).partition("-")[0]
    if not pid.isdecimal() or int(pid) == os.getpid():
        return False
    if os.name == "nt":  # to ask is to end it there
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        pass
    return True


def sync_folder(folder: Path) -> None:
    """Flushes a folder's entries to disk, so that a rename survives a power cut."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot open a folder
        return
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot either
        pass
    finally:
        os.close(descriptor)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFullError(
                f"no space left to write {path} ({_free_bytes(path):,} bytes free); what stood "
                "there before is intact. Free some space or choose another folder"
            ) from error
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def _free_bytes(path: Path) -> int:
    """On the disk that `path` would lie on; its folders need not be there yet."""
    place = path.absolute().parent
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
