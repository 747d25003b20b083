"""Unpacks archives that may be hostile: regular files and folders, nothing else, nowhere else.

The standard library's own filters are not relied on: they let links through, and have been escaped
by them. Whatever is odd ends the whole with one line, and nothing is left behind.
"""

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from gzip import BadGzipFile
from pathlib import Path
from unicodedata import normalize

from dualseg.core.errors import InputError
from dualseg.core.files import new_folder
from dualseg.data.downloading.archive_members import Member, RefusedError, open_archive, shown

CHUNK = 1 << 20
MAX_NAME_BYTES = 255
RATIO_FROM = 10 << 20  # a small archive may well hold one even picture
NESTED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    BadGzipFile,
    EOFError,
    ValueError,
    struct.error,
    NotImplementedError,
    RecursionError,
)


@dataclass(frozen=True)
class Limits:
    """What an archive may hold at most.

    Args:
        members: Files and folders.
        num_bytes: Of all files, unpacked; counted as announced, and again as they come.
        ratio: Unpacked bytes for one packed; above 10 MB unpacked.
    """

    members: int = 2_000_000
    num_bytes: int = 1 << 40
    ratio: int = 200


def unpack(archives: Iterable[Path], folder: Path, limits: Limits | None = None) -> None:
    """Unpacks zip and tar archives (plain or gzip) into one new folder, whole or not at all.

    Args:
        archives: Their members must not collide.
        folder: Must not exist yet.
        limits: For each archive.

    Raises:
        InputError: A member is a link, a device, encrypted, an archive itself, or named so that it
            would lie elsewhere or collide with another one; a limit is passed; the archive is
            damaged; or the folder exists.
    """
    with new_folder(folder) as temporary:
        names = _Names()
        for archive in archives:
            _unpack_one(archive, temporary, names, limits or Limits())


def _unpack_one(archive: Path, folder: Path, names: "_Names", limits: Limits) -> None:
    try:
        with open_archive(archive, max_members=limits.members) as members:
            budget = _Budget(archive.stat().st_size, limits)
            for member in members:
                parts = names.admit(member.name, is_folder=member.content is None)
                budget.announce(member.size)
                _write(member, folder.joinpath(*parts), budget)
    except RefusedError as refused:
        raise InputError(f"{archive} is not unpacked: {refused}") from None
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{archive} is not unpacked: it is damaged ({reason})") from None


def _write(member: Member, path: Path, budget: "_Budget") -> None:
    if member.content is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with open(path, "xb") as file:
        while chunk := member.content.read(CHUNK):
            written += len(chunk)
            budget.spend(len(chunk))
            file.write(chunk)
    if written != member.size:
        raise RefusedError(f"{shown(member.name)} has {written:,} of {member.size:,} bytes")


class _Budget:
    """Counts what comes out of an archive."""

    def __init__(self, archive_bytes: int, limits: Limits):
        self.limits = limits
        self.most = min(limits.num_bytes, max(RATIO_FROM, limits.ratio * archive_bytes))
        self.members = self.announced = self.spent = 0

    def announce(self, num_bytes: int) -> None:
        """One more member, before anything of it is written."""
        self.members += 1
        self.announced += num_bytes
        if self.members > self.limits.members:
            raise RefusedError(f"it holds more than {self.limits.members:,} members")
        self._require(self.announced)

    def spend(self, num_bytes: int) -> None:
        """Bytes that are about to be written."""
        self.spent += num_bytes
        self._require(self.spent)

    def _require(self, num_bytes: int) -> None:
        if num_bytes > self.most:
            raise RefusedError(
                f"it would become {num_bytes:,} bytes or more; allowed are {self.most:,} "
                f"({self.limits.ratio} for each packed byte, {self.limits.num_bytes:,} in all)"
            )


class _Names:
    """Admits names that lie inside the folder and that every file system tells apart."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, bool]] = {}  # folded path -> (spelling, is a folder)

    def admit(self, name: str, *, is_folder: bool) -> tuple[str, ...]:
        """The parts of a member's path.

        Raises:
            RefusedError: It leads elsewhere, is not plain text, or collides with an earlier one.
        """
        if len(name.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES:
            raise RefusedError(f"the name {shown(name)} is longer than {MAX_NAME_BYTES} bytes")
        if not name.isprintable() or "\\" in name or ":" in name or name.startswith("/"):
            raise RefusedError(
                f"the name {shown(name)} is absolute, or holds a backslash, a colon or a character "
                "that cannot be shown"
            )
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if any(part[-1] in ". " for part in parts) or not (parts or is_folder):
            raise RefusedError(f"the name {shown(name)} leads elsewhere, or ends in a dot or space")
        if not is_folder and name.lower().endswith(NESTED):
            raise RefusedError(f"{shown(name)} is an archive itself")
        for depth in range(1, len(parts) + 1):
            self._admit_path("/".join(parts[:depth]), is_folder or depth < len(parts))
        return parts

    def _admit_path(self, path: str, is_folder: bool) -> None:
        """Only a folder may come twice, and only in the same spelling."""
        folded = normalize("NFC", normalize("NFC", path).casefold())
        seen = self._seen.get(folded)
        if seen is None:
            self._seen[folded] = (path, is_folder)
        elif not is_folder or seen != (path, True):
            raise RefusedError(f"{shown(path)} collides with {shown(seen[0])}")
