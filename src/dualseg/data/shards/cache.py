"""Whole shards of a server kept on disk, up to a size; the one used longest ago goes first."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from dualseg.core.errors import InputError
from dualseg.core.files import write_atomic
from dualseg.core.locks import one_at_a_time
from dualseg.data.shards.reading import ATTEMPTS, NoAnswerError, Stamp, read_chunks
from dualseg.data.shards.urls import shown

DEFAULT_BYTES = 64_000_000_000
FOLDER_VARIABLE = "DUALSEG_SHARD_CACHE"
SIZE_VARIABLE = "DUALSEG_SHARD_CACHE_GB"


class ShardCache:
    """Copies of shards, named by address, length and mark of what they are copies of.

    Many processes may use one folder: a shard is fetched by one of them while the others wait (on
    Windows each fetches it), and is there whole or not at all. The folder may be deleted at any
    time.

    Args:
        folder: Made if need be.
        max_bytes: Of all shards; one that is larger is kept alone.
    """

    def __init__(self, folder: Path, max_bytes: int = DEFAULT_BYTES):
        self.folder = folder
        self.max_bytes = max_bytes

    def fetch(self, shard: str, stamp: Stamp, sha256: str | None) -> Path:
        """The copy of a shard, fetched if need be.

        Args:
            shard: Its URL.
            stamp: What it should be.
            sha256: Its hash, where it is known.

        Raises:
            InputError: It cannot be read, has changed, or has another hash.
        """
        text = f"{shard} {stamp.size} {stamp.version}".encode()
        copy = self.folder / f"{hashlib.blake2b(text, digest_size=16).hexdigest()}.tar"
        if not _used_now(copy):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"cannot make {self.folder}: {error.strerror}") from None
            with one_at_a_time(copy.with_suffix(".lock")):
                if not _used_now(copy):
                    self._make_room(stamp.size)
                    _download(shard, stamp, sha256, copy)
        return copy

    def _make_room(self, num_bytes: int) -> None:
        copies = []
        for path in self.folder.glob("*.tar"):
            with suppress(OSError):  # another process was faster
                facts = path.stat()
                copies.append((facts.st_mtime_ns, facts.st_size, path))
        total = num_bytes + sum(size for _, size, _ in copies)
        for _, size, path in sorted(copies):
            if total <= self.max_bytes:
                return
            with suppress(OSError):
                path.unlink()
                path.with_suffix(".lock").unlink()
            total -= size


def cache_from_environment() -> ShardCache | None:
    """The cache that this machine's user asks for: a folder, and at most so many gigabytes.

    They are no part of a recipe, since they say nothing of the training.

    Raises:
        InputError: The size is no number above 0.
    """
    folder, size = os.environ.get(FOLDER_VARIABLE), os.environ.get(SIZE_VARIABLE)
    if not folder:
        return None
    try:
        num_bytes = DEFAULT_BYTES if size is None else int(float(size) * 1e9)
    except (ValueError, OverflowError):
        num_bytes = 0
    if num_bytes < 1:
        raise InputError(f"{SIZE_VARIABLE} is {size!r}; it must be a number of gigabytes")
    return ShardCache(Path(folder).absolute(), num_bytes)


def _used_now(copy: Path) -> bool:
    """Whether it is there; if so, it was used last."""
    try:
        os.utime(copy)
    except OSError:
        return False
    return True


def _download(shard: str, stamp: Stamp, sha256: str | None, copy: Path) -> None:
    """A transfer that breaks off is begun again, a few times."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            write_atomic(copy, lambda file: _transfer(shard, stamp, sha256, file))
            return
        except NoAnswerError:
            if attempt == ATTEMPTS:
                raise


def _transfer(shard: str, stamp: Stamp, sha256: str | None, file: IO[bytes]) -> None:
    state, count = hashlib.sha256(), 0
    for chunk in read_chunks(shard):
        file.write(chunk)
        state.update(chunk)
        count += len(chunk)
    if count != stamp.size:
        raise NoAnswerError(f"{shown(shard)} gave {count:,} of {stamp.size:,} bytes; try again")
    if sha256 is not None and state.hexdigest() != sha256:
        raise InputError(
            f"{shown(shard)} is damaged: its SHA-256 is {state.hexdigest()}, dataset.yaml says "
            f"{sha256}. Copy it there again"
        )
