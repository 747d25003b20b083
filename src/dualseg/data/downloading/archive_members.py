"""What zip and tar archives hold, member by member; all but plain files and folders is refused.

Memory stays small whatever an archive announces: tables of contents and headers are bounded before
they are read.
"""

import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from io import RawIOBase
from pathlib import Path
from typing import IO, NamedTuple, Protocol

RECORD_BYTES = 400  # of a zip's table of contents for one member: name, and as much beside it
MAX_HEADER_BYTES = 1 << 17  # of a tar between two members: long names and the like
ENCRYPTED = 0x1 | 0x40 | 0x2000


class RefusedError(Exception):
    """Why an archive is not unpacked, in a few words."""


class Member(NamedTuple):
    """A file or folder in an archive.

    Attributes:
        name: As it stands in the archive; not to be trusted.
        size: Bytes announced.
        content: What can be read before the next member is asked for; None for a folder.
    """

    name: str
    size: int
    content: IO[bytes] | None


@contextmanager
def open_archive(path: Path, *, max_members: int) -> Iterator[Iterator[Member]]:
    """The members of a zip, tar or tar.gz, known by its first bytes.

    Args:
        path: The archive.
        max_members: A zip that announces more is refused before its table of contents is read.

    Raises:
        RefusedError: It cannot be read, is of another kind, or holds a member that is no plain file
            or folder. What the standard library raises for damaged archives passes through.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise RefusedError(f"it cannot be read ({error.strerror})") from None
    with file:
        start = file.read(512)
        file.seek(0)
        if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            _require_small_contents(file, max_members)
            with zipfile.ZipFile(file) as opened:
                yield _zip_members(opened)
        elif start[:2] == b"\x1f\x8b":
            with GzipFile(fileobj=file) as unzipped:
                yield _tar_members(unzipped)
        elif start[257:262] == b"ustar":
            yield _tar_members(file)
        else:
            raise RefusedError("it is no zip, tar or tar.gz (a failed download?)")


def shown(name: str) -> str:
    """A name that cannot do anything to a terminal, and is not long."""
    text = ascii(name)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-10:]}"


def _require_small_contents(file: IO[bytes], max_members: int) -> None:
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_557))  # 22 bytes and a comment
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < 22:
        raise RefusedError("its table of contents is missing; is it cut off?")
    count, num_bytes = struct.unpack_from("<HI", tail, end + 10)
    if count == 0xFFFF or num_bytes == 0xFFFFFFFF:
        locator = tail[max(0, end - 20) : end]
        if locator[:4] != b"PK\x06\x07":
            raise RefusedError("its table of contents is damaged")
        file.seek(struct.unpack_from("<Q", locator, 8)[0])
        count, num_bytes = struct.unpack_from("<32xQQ", file.read(48))
    file.seek(0)
    if count > max_members or num_bytes > max_members * RECORD_BYTES:
        raise RefusedError(f"it holds more than {max_members:,} members")


def _zip_members(opened: zipfile.ZipFile) -> Iterator[Member]:
    entries = opened.infolist()
    _require_apart(entries, opened.start_dir)
    for entry in entries:
        name = entry.orig_filename  # as it stands there, before anything is cut or replaced
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise RefusedError(f"{shown(name)} is a link or a special file")
        if entry.flag_bits & ENCRYPTED:
            raise RefusedError(f"{shown(name)} is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RefusedError(f"{shown(name)} is packed in an unusual way ({entry.compress_type})")
        if name.endswith("/") or kind == stat.S_IFDIR:
            yield Member(name, 0, None)
            continue
        with opened.open(entry) as content:
            yield Member(name, entry.file_size, content)


def _require_apart(entries: list[zipfile.ZipInfo], start_of_contents: int) -> None:
    """No two members share bytes, as they do in zips that unpack to a thousandfold."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    ends = [*(entry.header_offset for entry in ordered[1:]), start_of_contents]
    for entry, end in zip(ordered, ends, strict=False):
        if entry.header_offset + 30 + entry.compress_size > end:
            name = shown(entry.orig_filename)
            raise RefusedError(f"{name} shares its bytes with another member")


def _tar_members(file: "_Readable") -> Iterator[Member]:
    metered = _Metered(file)
    with tarfile.open(fileobj=metered, mode="r|", tarinfo=_PlainTarInfo) as opened:
        while (entry := opened.next()) is not None:
            opened.members.clear()  # type: ignore[attr-defined]  # it would keep them all
            metered.allow(entry.size)
            if entry.isdir():
                yield Member(entry.name, 0, None)
            elif entry.issparse():
                raise RefusedError(f"{shown(entry.name)} has holes")
            else:
                yield Member(entry.name, entry.size, opened.extractfile(entry))


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Metered(RawIOBase):
    """Hands out a bounded number of bytes between two members, since headers are read at once."""

    def __init__(self, file: _Readable):
        self._file = file
        self._left = MAX_HEADER_BYTES

    def allow(self, num_bytes: int) -> None:
        """So many more bytes, and headers."""
        self._left = num_bytes + MAX_HEADER_BYTES

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise RefusedError(f"its headers take more than {MAX_HEADER_BYTES:,} bytes")
        return data


class _PlainTarInfo(tarfile.TarInfo):
    """Refuses a header as soon as it is read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_PlainTarInfo":
        info = super().frombuf(buf, encoding, errors)
        about_next = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)
        plain = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
        if info.type not in (*about_next, *plain):
            raise RefusedError(f"{shown(info.name)} is a link or a special file")
        return info
