"""Fetches a file of known size and hash over HTTPS; what a broken transfer left is gone on with."""

import hashlib
import http.client
import os
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO, Protocol

import dualseg
from dualseg.core.errors import InputError
from dualseg.core.files import DiskFullError

CHUNK = 1 << 20
TIMEOUT_SECONDS = 60
OFFLINE_VARIABLE = "DUALSEG_OFFLINE"
NETWORK_FAULTS = (OSError, http.client.HTTPException)  # around nothing but the network's calls


@dataclass(frozen=True)
class RemoteFile:
    """A file that is known before it is fetched.

    Args:
        url: Begins with https://.
        num_bytes: Its size; not a byte more is taken.
        sha256: Of its content, all 64 digits.
    """

    url: str
    num_bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """What the file is called."""
        return self.url.rsplit("/", 1)[1]


class Response(Protocol):
    """As much of an HTTP response as is used."""

    status: int

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


OpenUrl = Callable[[str, int], Response]


def open_https(url: str, start: int) -> Response:
    """A response to a request for a file from byte `start` on.

    Raises:
        InputError: The address, or one it leads to, is not https.
    """
    _require_https(url)
    headers = {"User-Agent": f"dualseg/{dualseg.__version__}"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    return urllib.request.build_opener(_OnlyHttps).open(request, timeout=TIMEOUT_SECONDS)


def fetch(
    file: RemoteFile,
    folder: Path,
    *,
    open_url: OpenUrl = open_https,
    progress: Callable[[int, int], object] | None = None,
) -> Path:
    """The file in a folder, whole and with the right hash; fetched where it is not there yet.

    Until then it is called NAME.part. A file that is there is hashed again.

    Args:
        file: What to fetch.
        folder: Made if need be.
        open_url: (address, first byte) -> response.
        progress: Called with (bytes there, bytes in all).

    Raises:
        InputError: It cannot be reached, has another size or hash, the network is switched off by
            DUALSEG_OFFLINE, or the disk is too small.
    """
    target = folder / file.name
    partial = folder / f"{file.name}.part"
    if not target.is_file():
        if os.environ.get(OFFLINE_VARIABLE):
            raise InputError(f"{file.url} is not fetched, since {OFFLINE_VARIABLE} is set")
        _make_room(folder, file.num_bytes - _size(partial))
        _complete(file, partial, open_url, progress or _silent)
        _require_hash(partial, file)
        os.replace(partial, target)
        return target
    _require_hash(target, file)
    return target


def _complete(
    file: RemoteFile, partial: Path, open_url: OpenUrl, progress: Callable[[int, int], object]
) -> None:
    """Fetches until all is there, again and again as long as each try brings something."""
    if _size(partial) > file.num_bytes:
        partial.unlink()
    while (before := _size(partial)) < file.num_bytes:
        fault = _fetch_rest(file, partial, open_url, progress)
        if _size(partial) <= before:
            raise InputError(
                f"{file.url} cannot be fetched ({fault}); {before:,} of {file.num_bytes:,} bytes "
                f"are in {partial}. Repeat the command to go on"
            )


def _fetch_rest(
    file: RemoteFile, partial: Path, open_url: OpenUrl, progress: Callable[[int, int], object]
) -> str:
    """One request; returns how it ended."""
    start = _size(partial)
    try:
        response = open_url(file.url, start)
    except NETWORK_FAULTS as error:
        return str(getattr(error, "reason", None) or error)
    try:
        if response.status not in (200, 206):
            return f"status {response.status}"
        done = start if response.status == 206 else 0  # 200: it comes from the beginning
        with _open_for_writing(partial, append=done > 0) as output:
            while True:
                chunk, end = _next_chunk(response)
                if not chunk:
                    return end
                done += len(chunk)
                if done > file.num_bytes:
                    raise InputError(
                        f"{file.url} sends more than the {file.num_bytes:,} bytes it should have; "
                        "it is another file"
                    )
                _write(output, chunk, partial)
                progress(done, file.num_bytes)
    finally:
        response.close()


def _next_chunk(response: Response) -> tuple[bytes, str]:
    """What comes next; where that is nothing, also why."""
    try:
        return response.read(CHUNK), "the connection ended"
    except NETWORK_FAULTS as error:
        return b"", str(error) or type(error).__name__


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows to addresses with https only."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_https(url: str) -> None:
    if not url.lower().startswith("https://"):
        raise InputError(f"{url} is not fetched: only https is")


def _require_hash(path: Path, file: RemoteFile) -> None:
    """Removes a file of another hash, so that the next try is a new one."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != file.sha256:
        path.unlink()
        raise InputError(
            f"{file.url} has the SHA-256 {digest.hexdigest()}, expected {file.sha256}; it was "
            "changed on the way or there, and is removed"
        )


def _make_room(folder: Path, num_bytes: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {folder}: {error.strerror}") from None
    free = shutil.disk_usage(folder).free
    if free < 2 * num_bytes:
        raise DiskFullError(
            f"{folder} has {free:,} bytes free; the archive and what is in it take about "
            f"{2 * num_bytes:,}"
        )


def _open_for_writing(path: Path, *, append: bool) -> FileIO:
    """Without a buffer, so that a full disk is noticed where it is written, not at the end."""
    try:
        return open(path, "ab" if append else "wb", buffering=0)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def _write(output: FileIO, chunk: bytes, path: Path) -> None:
    try:
        while chunk:
            chunk = chunk[output.write(chunk) :]
    except OSError as error:
        raise DiskFullError(f"cannot write {path}: {error.strerror}") from None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _silent(done: int, total: int) -> None:
    pass
