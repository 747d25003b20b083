"""Where every member of a shard is: found once, kept, and good as long as the shard stays the same.

Of a shard on this machine the index lies beside it; of one elsewhere, and where nothing can be
written, in the user's cache folder. Many processes may build one at once: each writes the same
file whole.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from dualseg.core.errors import InputError
from dualseg.core.files import write_bytes
from dualseg.data.loading.cache import default_cache_folder
from dualseg.data.shards.members import Member, scan_members
from dualseg.data.shards.reading import Stamp, read_range, read_small, stamp_of
from dualseg.data.shards.urls import INDEX_SUFFIX, is_url, shown

FORMAT = 1
MOST_INDEX_BYTES = 1 << 30
AT_ONCE = 16  # shards; most of the time is waiting for disks or servers
LEAST_AHEAD, MOST_AHEAD = 1 << 13, 1 << 18

Progress = Callable[[int, int], object]


def read_indexes(
    shards: Sequence[str],
    *,
    hashes: Sequence[str | None] | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> list[tuple[Stamp, list[Member]]]:
    """What each shard holds, from its index where that is good, else from its headers.

    Args:
        shards: Paths and URLs.
        hashes: SHA-256 of each shard where somebody has written it down: then an index that was
            written with the shard counts, even if the shard was copied since.
        folder: Where indexes are kept that cannot lie beside their shards; the user's cache folder
            where not given.
        progress: Called with (done, total) before the first shard and after each.

    Raises:
        InputError: A shard cannot be read, or holds what it must not; see `scan_members`.
    """
    known = hashes or [None] * len(shards)
    place = folder or default_index_folder()
    found: list[tuple[Stamp, list[Member]]] = []
    if progress is not None:
        progress(0, len(shards))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for one in threads.map(partial(read_index, folder=place), shards, known):
            found.append(one)
            if progress is not None:
                progress(len(found), len(shards))
    return found


def read_index(shard: str, sha256: str | None, *, folder: Path) -> tuple[Stamp, list[Member]]:
    """`read_indexes` of one shard."""
    stamp = stamp_of(shard)
    cached = folder / f"{_digest(f'{shard} {stamp}'.encode())}{INDEX_SUFFIX}"
    for place in ([] if is_url(shard) else [shard + INDEX_SUFFIX]) + [str(cached)]:
        members = _load(place, stamp, sha256)
        if members is not None:
            return stamp, members
    members = _published(shard, stamp, sha256) if is_url(shard) else None
    if members is None:
        members = _scanned(shard, stamp.size)
    write_index(shard, stamp, members, cached)
    return stamp, members


def write_index(shard: str, stamp: Stamp, members: Sequence[Member], cached: Path) -> None:
    """Beside a local shard, else under `cached`; where nothing can be written, nowhere."""
    content = index_content(stamp, members, None)
    places = [cached] if is_url(shard) else [Path(shard + INDEX_SUFFIX), cached]
    for place in places:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(place, content)
            return
        except (OSError, InputError):  # a read-only disk: the next opening takes as long
            continue


def index_content(stamp: Stamp, members: Sequence[Member], sha256: str | None) -> bytes:
    """An index file: a hash of its second line, then size, version and members of the shard."""
    plain = {
        "format": FORMAT,
        "size": stamp.size,
        "version": stamp.version,
        "sha256": sha256,
        "members": members,
    }
    content = json.dumps(plain, separators=(",", ":")).encode()
    return _digest(content).encode() + b"\n" + content


def default_index_folder() -> Path:
    """`dualseg/shards` in the folder that the system keeps for caches."""
    return default_cache_folder().parent / "shards"


def _published(shard: str, stamp: Stamp, sha256: str | None) -> list[Member] | None:
    """The index that was written with a shard and lies beside it on its server."""
    if sha256 is None or "?" in shard:
        return None
    return _load(shard + INDEX_SUFFIX, stamp, sha256)


def _load(place: str, stamp: Stamp, sha256: str | None) -> list[Member] | None:
    """Whatever does not fit, down to a flipped bit, is as if it were not there."""
    try:
        whole = read_small(place, MOST_INDEX_BYTES)
        if whole is None:
            return None
        digest, _, content = whole.partition(b"\n")
        if digest.decode() != _digest(content):
            return None
        plain = json.loads(content)
        same = plain["version"] == stamp.version or (sha256 and plain["sha256"] == sha256)
        if plain["format"] != FORMAT or plain["size"] != stamp.size or not same:
            return None
        return [_member(row, stamp.size) for row in plain["members"]]
    except (OSError, InputError, ValueError, KeyError, TypeError):
        return None


def _member(row: Any, length: int) -> Member:
    name, offset, size = row
    if not (isinstance(name, str) and 0 < offset <= offset + size <= length):
        raise ValueError(f"{row} lies outside of the shard")
    return Member(name, offset, size)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _scanned(shard: str, length: int) -> list[Member]:
    if is_url(shard):
        return list(scan_members(_Ahead(shard, length).read, length, shown(shard)))
    try:
        with open(shard, "rb") as file:

            def read(start: int, count: int) -> bytes:
                file.seek(start)
                data = file.read(count)
                if len(data) < count:
                    raise InputError(f"{shard} became shorter while it was read; wait and retry")
                return data

            return list(scan_members(read, length, shard))
    except OSError as error:
        raise InputError(f"cannot read the shard {shard}: {error.strerror}") from None


class _Ahead:
    """Reads headers from afar in few requests: further ahead with every one that was of use.

    Args:
        place: A URL.
        length: Bytes of it.
    """

    def __init__(self, place: str, length: int):
        self._place, self._length = place, length
        self._start, self._held = 0, b""
        self._ahead = LEAST_AHEAD

    def read(self, start: int, count: int) -> bytes:
        """`count` bytes from `start` on."""
        inside = start - self._start
        if inside < 0 or inside + count > len(self._held):
            is_next = inside <= len(self._held) + LEAST_AHEAD
            self._ahead = min(2 * self._ahead, MOST_AHEAD) if is_next else LEAST_AHEAD
            end = min(self._length, start + max(count, self._ahead))
            self._held = read_range(self._place, start, end - start)
            self._start, inside = start, 0
        return self._held[inside : inside + count]
