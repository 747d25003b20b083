"""Headers of tars: against `tarfile`, and hostile ones."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shard_files import write_tar

from dualseg.core.errors import InputError
from dualseg.data.shards.members import BLOCK, Member, header_fits, scan_members


def _scan(data: bytes) -> list[Member]:
    return list(scan_members(lambda start, n: data[start : start + n], len(data), "x.tar"))


def _tar(*infos: tarfile.TarInfo, format: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as file:
        for info in infos:
            file.addfile(info, io.BytesIO(b"d" * info.size))
    return stream.getvalue()


def _info(
    name: str, size: int = 3, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


NAMES = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0/\\:"), min_size=1
).filter(lambda name: name not in (".", ".."))


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@given(sizes=st.lists(st.integers(0, 2000), max_size=6))
def test_places_are_those_of_tarfile(format: int, sizes: list[int]) -> None:
    data = _tar(*(_info(f"k{n}.jpg", size) for n, size in enumerate(sizes)), format=format)
    found = _scan(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as file:
        assert found == [Member(m.name, m.offset_data, m.size) for m in file.getmembers()]
    assert all(header_fits(data[m.offset - BLOCK : m.offset], m.size) for m in found)
    assert not any(header_fits(data[m.offset - BLOCK : m.offset], m.size + 1) for m in found)


@given(name=NAMES)
def test_any_name_comes_back(name: str) -> None:
    assert [member.name for member in _scan(_tar(_info(f"folder/{name}")))] == [f"folder/{name}"]


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_come_back(format: int) -> None:
    name = "/".join(["some folder"] * 30) + "/a.jpg"
    assert [member.name for member in _scan(_tar(_info(name), format=format))] == [name]


def test_only_headers_are_read(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", {"a.jpg": b"x" * 100_000, "b.jpg": b"y" * 100_000})
    data, asked = path.read_bytes(), []
    read = lambda start, n: (asked.append(n), data[start : start + n])[1]  # noqa: E731
    assert len(list(scan_members(read, len(data), "x"))) == 2
    assert asked == [BLOCK] * 3


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (_info("a", 0, tarfile.SYMTYPE, "/etc/passwd"), "'a' is a symbolic link"),
        (_info("a", 0, tarfile.LNKTYPE, "b"), "'a' is a hard link"),
        (_info("a", 0, tarfile.CHRTYPE), "'a' is a device"),
        (_info("a", 0, tarfile.FIFOTYPE), "'a' is a named pipe"),
        (_info("../a"), "leads out of the archive"),
        (_info("b/../../a"), "leads out of the archive"),
        (_info("/etc/passwd"), "leads out of the archive"),
        (_info("C:\\a"), "leads out of the archive"),
        (_info("..\\a"), "leads out of the archive"),
    ],
)
def test_members_that_are_no_plain_files_inside_are_refused(info, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _scan(_tar(info))


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"1"), ("a.jpg", b"2")])
    with pytest.raises(InputError, match=r"'a.jpg' stands in it twice"):
        _scan(path.read_bytes())


def test_a_member_of_more_than_4_gib_is_refused() -> None:
    header = _info("a.jpg", 5 << 30).tobuf()
    with pytest.raises(InputError, match="announces 5,368,709,120 bytes; 4 GiB is most"):
        _scan(header + b"\0" * 2048)
    far = _info("a.jpg", 1 << 40).tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(InputError, match="announces 1,099,511,627,776 bytes"):
        _scan(far + b"\0" * 2048)


@given(cut=st.integers(1, 4 * BLOCK + 2))
def test_a_cut_archive_is_refused_wherever_it_is_cut(cut: int) -> None:
    data = _tar(_info("a.jpg", 700), _info("b.jpg", 3))[: 5 * BLOCK + 3 - cut]
    with pytest.raises(InputError, match=r"cut off|no tar file"):
        _scan(data)


def test_what_is_no_tar_is_called_so() -> None:
    with pytest.raises(InputError, match="no tar file; shards are tar files, not compressed"):
        _scan(b"\x1f\x8b" + b"abc" * 1000)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_a_gigabyte_is_not_read(kind: bytes) -> None:
    header = _info("x", 1 << 30, kind).tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(InputError, match="a header of 1,073,741,824 bytes"):
        _scan(header + b"\0" * 2048)


@given(noise=st.binary(max_size=40), at=st.integers(0, 2000))
def test_damage_is_an_input_error_or_harmless(noise: bytes, at: int) -> None:
    data = bytearray(_tar(_info("ä" * 60 + ".jpg", 600), _info("b.png", 5)))
    data[at : at + len(noise)] = noise
    try:
        found = _scan(bytes(data))
    except InputError:
        return
    assert all(0 < m.offset <= m.offset + m.size <= len(data) for m in found)
