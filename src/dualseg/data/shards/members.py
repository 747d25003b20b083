"""What a tar file holds and where, from its headers alone.

Written out here, not by `tarfile`: the data between headers is never read, 100,000 members take a
few seconds, and everything but plain files is refused by its header.

Source: POSIX.1-2017, pax "ustar Interchange Format" and "pax Extended Header"; GNU's long names.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from dualseg.core.errors import InputError

BLOCK = 512
MAX_HEADER_BYTES = 1 << 16  # of long names and the like
MAX_MEMBER_BYTES = 1 << 32
MAX_MEMBERS = 4_000_000
MAX_NAME = 4096
PLAIN, FOLDER, PAX, PAX_GLOBAL, LONG_NAME = (b"0", b"\0"), b"5", b"x", b"g", b"L"
KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device"} | {
    b"6": "a named pipe",
    b"K": "a link",
    b"S": "a file with holes",
}

Read = Callable[[int, int], bytes]


class Member(NamedTuple):
    """A plain file in a tar: its name, and where its bytes are."""

    name: str
    offset: int
    size: int


class _Header(NamedTuple):
    name: bytes
    size: int
    kind: bytes


def scan_members(read: Read, length: int, origin: str) -> Iterator[Member]:
    """The plain files of a tar, in their order; folders are passed over.

    Args:
        read: read(start, count) -> bytes, as many as asked for.
        length: Bytes of the tar.
        origin: What messages call it.

    Raises:
        InputError: It is no tar, is cut off, or holds a link, a device, a name that leads out of a
            folder, a name twice, or a member of more than 4 GiB.
    """
    position, seen = 0, set[str]()
    path: bytes | None = None
    size: int | None = None
    while True:
        if position + BLOCK > length:
            raise InputError(f"{origin} ends without an end mark; is it cut off? Fetch it again")
        block = read(position, BLOCK)
        if not any(block):
            return
        header = _parse(block, origin, position)
        data = position + BLOCK
        if header.kind in (PAX, PAX_GLOBAL, LONG_NAME):
            extra = _read_extra(read, data, header, length, origin)
            if header.kind == LONG_NAME:
                path = extra.rstrip(b"\0")
            else:
                records = _pax_records(extra, origin)
                if header.kind == PAX:
                    path = records.get(b"path", path)
                    size = _number(records[b"size"], origin) if b"size" in records else size
                elif records.keys() & {b"path", b"size", b"linkpath"}:
                    raise InputError(f"{origin}: one header names all members; pack it anew")
            position = data + _padded(header.size)
            continue
        raw, num_bytes = path if path is not None else header.name, header.size
        name, num_bytes = _checked_name(raw, origin), num_bytes if size is None else size
        path = size = None
        if header.kind == FOLDER:
            position = data
            continue
        if header.kind not in PLAIN:
            kind = KINDS.get(header.kind, f"a member of kind {header.kind!r}")
            raise InputError(f"{origin}: {name!r} is {kind}; shards hold plain files only")
        if num_bytes > MAX_MEMBER_BYTES:
            raise InputError(f"{origin}: {name!r} announces {num_bytes:,} bytes; 4 GiB is most")
        if data + num_bytes > length:
            raise InputError(f"{origin} is cut off in {name!r}; fetch it again")
        if name in seen:
            raise InputError(f"{origin}: {name!r} stands in it twice; pack it anew")
        seen.add(name)
        if len(seen) > MAX_MEMBERS:
            raise InputError(f"{origin} holds more than {MAX_MEMBERS:,} members; split it")
        yield Member(name, data, num_bytes)
        position = data + _padded(num_bytes)


def header_fits(block: bytes, size: int) -> bool:
    """Whether the header before a member's data is that of a plain file of this size.

    Sizes beyond eight gigabytes, which stand elsewhere, do not occur (MAX_MEMBER_BYTES).
    """
    if len(block) != BLOCK or _checksum(block) != _octal(block[148:156]):
        return False
    stored = _octal(block[124:136])
    return block[156:157] in PLAIN and stored == size


def _parse(block: bytes, origin: str, position: int) -> _Header:
    if _checksum(block) != _octal(block[148:156]):
        kind = "it is no tar file" if position == 0 else f"damaged at byte {position:,}"
        raise InputError(f"{origin} cannot be read: {kind}; shards are tar files, not compressed")
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].partition(b"\0")[0]
        name = prefix + b"/" + name if prefix else name
    size = _octal(block[124:136])
    if size is None:
        raise InputError(f"{origin}: the size of {name!r} at byte {position:,} is no number")
    return _Header(name, size, block[156:157])


def _checksum(block: bytes) -> int:
    return sum(block) - sum(block[148:156]) + 8 * 32


def _octal(field: bytes) -> int | None:
    """A number as tars hold it; GNU writes large ones in base 256."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip()
    if not digits:
        return 0
    return int(digits, 8) if digits.isdigit() and not set(digits) & set(b"89") else None


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _read_extra(read: Read, start: int, header: _Header, length: int, origin: str) -> bytes:
    if header.size > MAX_HEADER_BYTES:
        raise InputError(f"{origin}: a header of {header.size:,} bytes; {MAX_HEADER_BYTES:,} most")
    if start + header.size > length:
        raise InputError(f"{origin} is cut off in a header; fetch it again")
    return read(start, header.size) if header.size else b""


def _pax_records(extra: bytes, origin: str) -> dict[bytes, bytes]:
    """Lines `LENGTH KEY=VALUE`, each as long as it says."""
    records, start = {}, 0
    while start < len(extra) and extra[start]:
        digits = extra[start : start + 8].partition(b" ")[0]
        count = int(digits) if digits.isdigit() else 0
        line = extra[start + len(digits) + 1 : start + count]
        key, equals, value = line.partition(b"=")
        if not line.endswith(b"\n") or not equals:
            raise InputError(f"{origin}: a damaged extended header; fetch it again")
        if key.startswith(b"GNU.sparse"):
            raise InputError(f"{origin}: a file with holes; shards hold plain files only")
        records[key] = value[:-1]
        start += count
    return records


def _number(digits: bytes, origin: str) -> int:
    if not digits.isdigit():
        raise InputError(f"{origin}: a size of {digits!r}; fetch it again")
    return int(digits)


def _checked_name(raw: bytes, origin: str) -> str:
    name = raw.decode("utf-8", "surrogateescape")
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or name[1:2] == ":" or "\0" in name:
        raise InputError(f"{origin}: {name!r} leads out of the archive; pack it anew")
    if len(name) > MAX_NAME:
        raise InputError(f"{origin}: a name of {len(name):,} characters; pack it anew")
    return "/".join(part for part in parts if part not in ("", "."))
