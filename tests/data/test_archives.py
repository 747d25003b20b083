"""Attack list S4: every archive is refused in one line, and nothing lies outside or half inside."""

import gzip
import io
import stat
import struct
import tarfile
import time
import tracemalloc
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dualseg.core.errors import InputError
from dualseg.data.downloading.archives import Limits, unpack

Maker = Callable[[Path], None]
OUTSIDE = "victim.txt"


def _zip(*names: str, mode: int = 0, flags: int = 0, data: bytes = b"x") -> Maker:
    """A zip with members of the given names; flags are patched into both headers."""

    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                entry = zipfile.ZipInfo("placeholder")
                entry.filename = name
                entry.external_attr = mode << 16
                file.writestr(entry, data)
        if flags:
            content = bytearray(path.read_bytes())
            for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
                start = content.find(signature)
                struct.pack_into("<H", content, start + place, flags)
            path.write_bytes(content)

    return make


def _tar(*members: tuple[str, bytes], mode: str = "w", link: str = "", size: int = 0) -> Maker:
    """A tar with members of (name, type)."""

    def make(path: Path) -> None:
        with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as file:  # type: ignore[call-overload]
            for name, kind in members:
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname, entry.size = kind, link, size
                file.addfile(entry, io.BytesIO(b"\0" * size) if size else None)

    return make


def _link_then_write(path: Path) -> None:
    with tarfile.open(path, "w") as file:
        link = tarfile.TarInfo("data/link")
        link.type, link.linkname = tarfile.SYMTYPE, "../.."
        file.addfile(link)
        entry = tarfile.TarInfo(f"data/link/{OUTSIDE}")
        entry.size = 3
        file.addfile(entry, io.BytesIO(b"own"))


def _long_chain(path: Path) -> None:
    """Links within links until the resolved path is too long to be followed (CVE-2025-4517)."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as file:
        place = ""
        for letter in "abcdefghijklmnop":
            folder = tarfile.TarInfo(f"{place}{letter * 247}")
            folder.type = tarfile.DIRTYPE
            file.addfile(folder)
            link = tarfile.TarInfo(f"{place}{letter}")
            link.type, link.linkname = tarfile.SYMTYPE, letter * 247
            file.addfile(link)
            place += f"{letter}/"
        escape = tarfile.TarInfo("escape")
        escape.type, escape.linkname = tarfile.SYMTYPE, place + "l" * 254 + "/../" * 18 + OUTSIDE
        file.addfile(escape)


def _short_chain(path: Path) -> None:
    """The same with names that are short enough: the link itself is refused."""
    _tar(("a", tarfile.DIRTYPE), ("a/b", tarfile.SYMTYPE), link="../" * 1000)(path)


def _zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", b"\0" * 100_000_000)


def _zip_that_lies(path: Path) -> None:
    """Announces ten bytes, holds 100 MB."""
    _zip_bomb(path)
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.find(signature) + place, 10)
    path.write_bytes(content)


def _gzip_bomb(path: Path) -> None:
    with gzip.open(path, "wb") as file:
        entry = tarfile.TarInfo("zeros")
        entry.size = 100_000_000
        file.write(entry.tobuf())
        for _ in range(100):
            file.write(b"\0" * 1_000_000)


def _header_bomb(path: Path) -> None:
    """A "long name" of 200 MB, which a reader takes into memory at once."""
    with gzip.open(path, "wb") as file:
        entry = tarfile.TarInfo("././@LongLink")
        entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 200_000_000
        file.write(entry.tobuf(tarfile.GNU_FORMAT))
        for _ in range(200):
            file.write(b"a" * 1_000_000)


def _header_chain(path: Path) -> None:
    """Headers about the next header, a hundred thousand times."""
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 0
    path.write_bytes(entry.tobuf(tarfile.USTAR_FORMAT) * 100_000)


def _sparse_map(path: Path) -> None:
    """A file with holes whose map never ends."""
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    head = tarfile.TarInfo("x")
    head.type, head.size = tarfile.XHDTYPE, len(records)
    entry = tarfile.TarInfo("holes")
    entry.size = 50_000_000
    with gzip.open(path, "wb") as file:
        file.write(head.tobuf(tarfile.USTAR_FORMAT) + records.ljust(512, b"\0"))
        file.write(entry.tobuf(tarfile.USTAR_FORMAT) + b"9999999\n".ljust(512, b"1"))
        file.write(b"1\n" * 25_000_000)


def _nested_bomb(path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", b"\0" * 20_000_000)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data/1.zip", inner.getvalue())


def _many_entries(path: Path) -> None:
    """A million members, as the end of a zip announces them; the table itself is as long."""
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 65535, 65535, 0xFFFFFFFF, 0, 0)
    table = 1_000_000 * 47
    end64 = struct.pack(
        "<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1_000_000, 1_000_000, table, 4
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 4 + table, 1)
    with open(path, "wb") as file:
        file.write(b"PK\x03\x04")
        file.seek(4 + table)
        file.write(end64 + locator + end)


def _many_tar_entries(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for number in range(30):
            block = b"".join(tarfile.TarInfo(f"{number}_{i}").tobuf() for i in range(100))
            file.write(block)


def _overlapping(path: Path) -> None:
    """Two entries of the table point at the same bytes, as in a quine or a better zip bomb."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(b"kernel") + packer.flush()
    check, sizes = zlib.crc32(b"kernel"), (len(packed), 6)
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0, check, *sizes, 1, 0) + b"a"
    table = b"".join(
        struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, check, *sizes, 1, 0, 0, 0, 0, 0, 0
        )
        + name
        for name in (b"a", b"b")
    )
    start = len(local) + len(packed)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 2, 2, len(table), start, 0)
    path.write_bytes(local + packed + table + end)


def _nul_in_name(path: Path) -> None:
    _zip("ab.txt")(path)
    path.write_bytes(path.read_bytes().replace(b"ab.txt", b"a\0.txt"))


def _wrong_checksum(path: Path) -> None:
    _zip("a.txt", data=b"hello")(path)
    path.write_bytes(path.read_bytes().replace(b"hello", b"hallo"))


def _cut(make: Maker, share: float) -> Maker:
    def cut(path: Path) -> None:
        make(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return cut


FILE, FOLDER = tarfile.REGTYPE, tarfile.DIRTYPE
NFC = unicodedata.normalize("NFC", "é.txt")
ATTACKS: dict[str, tuple[Maker, str]] = {
    "zip: parent": (_zip(f"../{OUTSIDE}"), "leads elsewhere"),
    "zip: parent inside": (_zip(f"a/../../{OUTSIDE}"), "leads elsewhere"),
    "zip: absolute": (_zip(f"/tmp/{OUTSIDE}"), "absolute"),
    "zip: backslash": (_zip(f"..\\{OUTSIDE}"), "backslash"),
    "zip: drive letter": (_zip(f"C:{OUTSIDE}"), "colon"),
    "zip: NUL": (_nul_in_name, "cannot be shown"),
    "zip: newline": (_zip("a\nb"), "cannot be shown"),
    "zip: terminal escape": (_zip("a\x1b[2Jb"), "cannot be shown"),
    "zip: text direction": (_zip("a\u202egpj.exe"), "cannot be shown"),
    "zip: long name": (_zip("a/" * 120 + "b" * 20), "longer than 255 bytes"),
    "zip: trailing dot": (_zip("a./b"), "ends in a dot"),
    "zip: twice": (_zip("a", "a"), "collides"),
    "zip: case": (_zip("data/A.txt", "data/a.txt"), "collides"),
    "zip: case of folder": (_zip("Data/a.txt", "data/b.txt"), "collides"),
    "zip: NFC and NFD": (_zip(NFC, unicodedata.normalize("NFD", NFC)), "collides"),
    "zip: file as folder": (_zip("a", "a/b"), "collides"),
    "zip: folder as file": (_zip("a/b", "a"), "collides"),
    "zip: link": (_zip("a", mode=stat.S_IFLNK | 0o777, data=b"/etc"), "a link or a special"),
    "zip: device": (_zip("a", mode=stat.S_IFCHR | 0o666), "a link or a special file"),
    "zip: encrypted": (_zip("a", flags=1), "encrypted"),
    "zip: bomb": (_zip_bomb, "would become 100,000,000 bytes"),
    "zip: bomb that lies": (_zip_that_lies, "damaged|of 10 bytes"),
    "zip: nested bomb": (_nested_bomb, "is an archive itself"),
    "zip: million entries": (_many_entries, "more than 100,000 members"),
    "zip: overlapping": (_overlapping, "shares its bytes"),
    "zip: checksum": (_wrong_checksum, "damaged"),
    "zip: cut off": (_cut(_zip("a", data=b"x" * 5000), 0.5), "table of contents is missing"),
    "tar: parent": (_tar((f"../{OUTSIDE}", FILE)), "leads elsewhere"),
    "tar: absolute": (_tar((f"/tmp/{OUTSIDE}", FILE)), "absolute"),
    "tar: parent folder": (_tar(("../..", FOLDER)), "leads elsewhere"),
    "tar: symlink, then through it": (_link_then_write, "'data/link' is a link"),
    "tar: hard link": (_tar(("a", tarfile.LNKTYPE), link=f"../{OUTSIDE}"), "'a' is a link"),
    "tar: long chain": (_long_chain, "is a link"),
    "tar: short chain": (_short_chain, "'a/b' is a link"),
    "tar: character device": (_tar(("a", tarfile.CHRTYPE)), "special file"),
    "tar: block device": (_tar(("a", tarfile.BLKTYPE)), "special file"),
    "tar: fifo": (_tar(("a", tarfile.FIFOTYPE)), "special file"),
    "tar: unknown type": (_tar(("a", b"V")), "special file"),
    "tar: twice": (_tar(("a", FILE), ("a", FILE)), "collides"),
    "tar: case": (_tar(("A", FILE), ("a", FILE), mode="w:gz"), "collides"),
    "tar: newline": (_tar(("a\nb", FILE)), "cannot be shown"),
    "tar: no text": (_tar(("a\udcff", FILE)), "cannot be shown"),
    "tar: archive inside": (_tar(("a.tar.gz", FILE)), "is an archive itself"),
    "tar: gzip bomb": (_gzip_bomb, "would become 100,000,000 bytes"),
    "tar: header bomb": (_header_bomb, "headers take more than"),
    "tar: chain of headers": (_header_chain, "headers take more than|damaged"),
    "tar: map of holes": (_sparse_map, "headers take more than|has holes"),
    "tar: many entries": (_many_tar_entries, "more than 2,000 members"),
    "tar: cut off": (_cut(_tar(("a", FILE), size=9000), 0.4), "damaged"),
    "tar: gzip cut off": (_cut(_tar(("a", FILE), mode="w:gz", size=9000), 0.7), "damaged"),
    "page": (lambda path: path.write_bytes(b"<html>404</html>") and None, "no zip, tar or tar"),
    "empty": (lambda path: path.write_bytes(b"") and None, "no zip, tar or tar"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_is_refused_in_one_line(tmp_path: Path, attack: str) -> None:
    make, reason = ATTACKS[attack]
    archive = tmp_path / "archive"
    make(archive)
    inner = tmp_path / "in" / "here"
    inner.parent.mkdir()
    (inner.parent / OUTSIDE).write_text("untouched")
    members = 2_000 if attack == "tar: many entries" else 100_000
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(InputError, match=reason) as caught:
        unpack([archive], inner / "data", Limits(members=members))
    seconds, (_, peak) = time.perf_counter() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert str(archive) in message
    assert not inner.exists() or not list(inner.iterdir())
    assert sorted(p.name for p in tmp_path.rglob("*") if p != inner) == ["archive", "in", OUTSIDE]
    assert (inner.parent / OUTSIDE).read_text() == "untouched"
    assert peak < 64 << 20
    assert seconds < 5  # below one on an idle machine, without the tracing


@pytest.mark.parametrize("mode", ["zip", "w", "w:gz"])
def test_plain_archives_are_unpacked_as_they_are(tmp_path: Path, mode: str) -> None:
    content = {"./set/a.txt": b"one", "set/ü b.txt": b"", "set/deep/er/c.bin": b"\0" * 3_000_000}
    archive = tmp_path / "archive"
    if mode == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("set/", b"")
            for name, data in content.items():
                file.writestr(name, data)
    else:
        with tarfile.open(archive, mode) as file:  # type: ignore[call-overload]
            folder = tarfile.TarInfo("set")
            folder.type = tarfile.DIRTYPE
            file.addfile(folder)
            file.addfile(folder)  # as archives have it that were added to
            for name, data in content.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o4777
                file.addfile(entry, io.BytesIO(data))
    unpack([archive], tmp_path / "out")
    for name, data in content.items():
        path = tmp_path / "out" / name
        assert path.read_bytes() == data
        assert not path.stat().st_mode & 0o7111  # no bits of the archive's
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["set"]


def test_names_of_any_length_up_to_255_are_read_from_all_kinds_of_tar(tmp_path: Path) -> None:
    name = "/".join(["d" * 60] * 4) + "/" + "n" * 11
    for number, kind in enumerate((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        archive = tmp_path / f"archive{number}"
        with tarfile.open(archive, "w", format=kind) as file:
            file.addfile(tarfile.TarInfo(name))
        unpack([archive], tmp_path / f"out{number}")
        assert (tmp_path / f"out{number}" / name).is_file()


def test_several_archives_share_a_folder_unless_they_collide(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    _zip("a/1.txt")(first)
    _zip("a/2.txt")(second)
    unpack([first, second], tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "a").iterdir()) == ["1.txt", "2.txt"]
    with pytest.raises(InputError, match="collides"):
        unpack([first, first], tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path) -> None:
    _zip("a")(tmp_path / "archive")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(InputError, match="cannot write"):
        unpack([tmp_path / "archive"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_a_small_archive_may_hold_one_even_picture(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros.bmp", b"\0" * 9_000_000)  # packed a thousandfold
    unpack([tmp_path / "archive"], tmp_path / "out")
    assert (tmp_path / "out" / "zeros.bmp").stat().st_size == 9_000_000


@pytest.mark.parametrize("mode", ["zip", "w", "w:gz"])
def test_damaged_archives_never_end_in_a_traceback(tmp_path: Path, mode: str) -> None:
    archive = tmp_path / "archive"
    if mode == "zip":
        _zip("a/b.txt", "c", data=b"some text" * 30)(archive)
    else:
        _tar(("a", FOLDER), ("a/" + "b" * 120, FILE), ("c", FILE), mode=mode)(archive)
    whole = archive.read_bytes()
    random = np.random.default_rng(0)
    for number in range(100):
        broken = bytearray(whole)
        for place in random.integers(0, len(whole), 1 + number % 4):
            broken[place] = random.integers(256)
        archive.write_bytes(broken)
        with suppress(InputError):
            unpack([archive], tmp_path / f"out{number}")
    assert {path.name[:3] for path in tmp_path.iterdir()} <= {"arc", "out"}
