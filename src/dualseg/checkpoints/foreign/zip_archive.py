"""The list of a zip archive's members, checked before anything in it is read."""

import struct
import zipfile
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

from dualseg.checkpoints.foreign.limits import MAX_DIRECTORY_BYTES, RefusalError

END = struct.Struct("<4s4H2LH")  # of the list of members
END_64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR_64 = struct.Struct("<4sLQL")
LOCAL = struct.Struct("<4s5H3L2H")  # in front of each member
LEFT_TO_64 = 0xFFFFFFFF


class Member(NamedTuple):
    """Where a member's bytes lie in the file, and what their CRC should be."""

    start: int
    size: int
    crc: int


def list_members(file: BinaryIO, file_size: int) -> dict[str, Member]:
    """Name -> place of every member.

    Raises:
        RefusalError: The list is too long, or some member is compressed, encrypted, doubled,
            overlaps another or lies outside the file.
    """
    _require_short_directory(file, file_size)
    try:
        infos = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise RefusalError(f"its zip archive is damaged ({error})") from None
    members: dict[str, Member] = {}
    for info in infos:
        if info.filename in members:
            raise RefusalError(f"its zip archive has two members named {info.filename[:100]!r}")
        members[info.filename] = _locate(file, info)
    _require_apart(members, file_size)
    return members


def _require_short_directory(file: BinaryIO, file_size: int) -> None:
    """The list's own size, read from the archive's end, before it is turned into objects."""
    tail_size = END.size + LOCATOR_64.size
    file.seek(max(0, file_size - tail_size))
    tail = file.read(tail_size)
    if len(tail) < END.size or not tail[-END.size :].startswith(b"PK\x05\x06"):
        raise RefusalError("its zip archive has no end; the file is cut off")
    size = END.unpack(tail[-END.size :])[5]
    locator = tail[: LOCATOR_64.size] if len(tail) == tail_size else b""
    if locator.startswith(b"PK\x06\x07"):
        file.seek(min(LOCATOR_64.unpack(locator)[2], file_size))
        record = file.read(END_64.size)
        if len(record) < END_64.size:
            raise RefusalError("its zip archive is damaged (no 64-bit end record)")
        size = max(size if size != LEFT_TO_64 else 0, END_64.unpack(record)[8])
    if size > MAX_DIRECTORY_BYTES:
        raise RefusalError(f"its zip archive has a list of members of {size:,} bytes; far too many")


def _locate(file: BinaryIO, info: zipfile.ZipInfo) -> Member:
    name = info.filename[:100]
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise RefusalError(
            f"its member {name!r} is compressed ({info.compress_size:,} to {info.file_size:,} "
            "bytes), which torch never does"
        )
    if info.flag_bits & 0x1:
        raise RefusalError(f"its member {name!r} is encrypted")
    file.seek(info.header_offset)
    header = file.read(LOCAL.size)
    if len(header) < LOCAL.size or not header.startswith(b"PK\x03\x04"):
        raise RefusalError(f"its member {name!r} has no header where the list says it is")
    name_size, extra_size = LOCAL.unpack(header)[-2:]
    start = info.header_offset + LOCAL.size + name_size + extra_size
    return Member(start, info.file_size, info.CRC)


def _require_apart(members: Mapping[str, Member], file_size: int) -> None:
    """No member reaches into another one or beyond the file; so together they fit into it."""
    end = 0
    for name, member in sorted(members.items(), key=lambda item: item[1].start):
        if member.size and (member.start < end or member.start + member.size > file_size):
            raise RefusalError(f"its member {name[:100]!r} overlaps another or leaves the file")
        end = max(end, member.start + member.size)
