"""Bytes of shards, and what tells that they changed: of files on this machine, and through fsspec.

Files on this machine are read without fsspec.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from dualseg.core.errors import InputError
from dualseg.data.shards.urls import expand, is_url, normalized, shown

ATTEMPTS = 3
GONE = (401, 403, 404, 410)
FIRST_WAIT_SECONDS = 0.5
CHUNK_BYTES = 1 << 22
REMOTE_PACKAGES = "pip install 'dualseg[remote]' (aiohttp for http, s3fs for s3, gcsfs for gs)"

_Result = TypeVar("_Result")


class NotThereError(InputError):
    """A server has no such file, or does not show it."""


class NoAnswerError(InputError):
    """A server was asked several times, or a transfer broke off."""


class Stamp(NamedTuple):
    """What changes when a file changes: bytes, and time of change or the server's mark."""

    size: int
    version: str


def find_shards(pattern: str) -> list[str]:
    """The shards that a path, a URL, or a pattern of them stands for; `*` is looked up.

    Raises:
        InputError: A `*` fits nothing, or the pattern names a shard twice.
    """
    places = []
    for place in expand(pattern):
        place = normalized(place)
        places += _matching(place) if "*" in place else [place]
    doubled = [place for place, count in Counter(places).items() if count > 1]
    if doubled:
        raise InputError(f"{pattern} names {shown(doubled[0])} twice; name each shard once")
    return places


def tars_in(folder: str) -> list[str]:
    """The tar files of a folder, sorted by name."""
    return _matching(f"{folder.rstrip('/')}/*.tar", may_be_none=True)


def stamp_of(place: str) -> Stamp:
    """Size and mark of a file as it is now.

    Raises:
        InputError: It is not there, or does not answer.
    """
    if not is_url(place):
        try:
            facts = Path(place).stat()
        except OSError as error:
            raise InputError(f"cannot read the shard {place}: {error.strerror}") from None
        return Stamp(facts.st_size, str(facts.st_mtime_ns))
    info = _asking(place, lambda files, path: files.info(path))
    if info.get("size") is None:
        raise InputError(f"{shown(place)}: the server does not say how long it is")
    marks = ("ETag", "etag", "LastModified", "Last-Modified", "mtime", "updated", "created")
    version = next((str(info[mark]) for mark in marks if info.get(mark)), "")
    return Stamp(int(info["size"]), version)


def read_range(place: str, start: int, count: int) -> bytes:
    """`count` bytes from `start` on.

    A file on this machine is opened for each read, so that nothing is shared with other processes.

    Raises:
        InputError: It cannot be read, is shorter, or its server hands out whole files only.
        FileNotFoundError: A file on this machine is gone.
    """
    if not is_url(place):
        try:
            with open(place, "rb", buffering=0) as file:
                file.seek(start)
                data = _read_fully(file, count)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise InputError(f"cannot read {place}: {error.strerror}") from None
    else:
        data = _asking(
            place, lambda files, path: files.cat_file(path, start=start, end=start + count)
        )
    if len(data) > count:
        raise InputError(
            f"{shown(place)}: the server answers with the whole file in place of {count:,} bytes; "
            "keep shards on disk with data.cache=disk, or copy them here"
        )
    if len(data) < count:
        raise InputError(f"{shown(place)} is cut off, or has changed while it was read")
    return data


def read_chunks(place: str) -> Iterator[bytes]:
    """A whole file, piece by piece."""
    if not is_url(place):
        with open(place, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
        return
    file = _asking(place, lambda files, path: files.open(path, "rb", cache_type="none"))
    with file:
        while True:
            chunk = _attempt(place, lambda: file.read(CHUNK_BYTES), once=True)
            if not chunk:
                return
            yield chunk


def read_small(place: str, most: int) -> bytes | None:
    """A small file; None where there is none, which a server may also call forbidden.

    Raises:
        InputError: It cannot be read, or has more than `most` bytes.
    """
    try:
        if is_url(place):
            content = _asking(place, lambda files, path: files.cat_file(path, end=most + 1))
        else:
            with open(place, "rb") as file:
                content = file.read(most + 1)
    except (FileNotFoundError, NotThereError):
        return None
    except OSError as error:
        raise InputError(f"cannot read {place}: {error.strerror}") from None
    if len(content) > most:
        raise InputError(f"{shown(place)} is larger than {most:,} bytes")
    return content


def _matching(pattern: str, *, may_be_none: bool = False) -> list[str]:
    if is_url(pattern):
        found = _asking(pattern, lambda files, path: _globbed(files, path))
    else:
        folder, _, name = pattern.replace("\\", "/").rpartition("/")
        found = [str(path) for path in Path(folder or "/").glob(name)]
    if not found and not may_be_none:
        raise InputError(f"no file fits {shown(pattern)}")
    return sorted(found)


def _globbed(files: Any, path: str) -> list[str]:
    return [files.unstrip_protocol(name) for name in files.glob(path)]


def _read_fully(file: Any, count: int) -> bytes:
    data = file.read(count)
    while data is not None and len(data) < count:
        more = file.read(count - len(data))
        if not more:
            break
        data += more
    return data or b""


def _asking(place: str, ask: Callable[[Any, str], _Result]) -> _Result:
    """Calls ask(file system, path in it); fsspec makes one file system a process."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise InputError(f"{shown(place)} needs fsspec: {REMOTE_PACKAGES}") from None
    try:
        files, path = url_to_fs(place)
    except ImportError as error:
        raise InputError(f"{shown(place)} needs another package: {REMOTE_PACKAGES}") from error
    except Exception as error:  # whatever a package of somebody's raises
        raise InputError(f"cannot open {shown(place)}: {_reason(error)}") from error
    return _attempt(place, lambda: ask(files, path))


def _attempt(place: str, work: Callable[[], _Result], *, once: bool = False) -> _Result:
    """Networks fail now and then; what is missing or forbidden stays so."""
    wait = FIRST_WAIT_SECONDS
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return work()
        except InputError:
            raise
        except Exception as error:  # every file system raises its own
            if _is_final(error):
                kind = "may not be read" if isinstance(error, PermissionError) else "is not there"
                raise NotThereError(f"{shown(place)} {kind}") from None
            if once or attempt == ATTEMPTS:
                raise NoAnswerError(f"cannot read {shown(place)}: {_reason(error)}") from error
            time.sleep(wait)
            wait *= 2
    raise AssertionError("unreachable")


def _is_final(error: Exception) -> bool:
    """fsspec calls every failure of an HTTP server a missing file; the cause tells."""
    if not isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return False
    cause = error.__cause__
    return cause is None or getattr(cause, "status", None) in GONE or _is_final_cause(cause)


def _is_final_cause(cause: BaseException) -> bool:
    return isinstance(cause, Exception) and _is_final(cause)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
