"""Downloads without a network: broken, resumed, changed on the way, too long, sent elsewhere."""

import errno
import hashlib
import http.client
import io
import ssl
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dualseg.core.errors import InputError
from dualseg.core.files import DiskFullError
from dualseg.data.catalog import list_datasets, open_dataset
from dualseg.data.downloading import downloads
from dualseg.data.downloading import fetch as fetching
from dualseg.data.downloading.downloads import DOWNLOADS, Download, download_dataset, find_download
from dualseg.data.downloading.fetch import RemoteFile, fetch, open_https
from official_trees import make_ade20k

CONTENT = bytes(range(256)) * 20
FILE = RemoteFile(
    "https://example.org/data/set.zip", len(CONTENT), hashlib.sha256(CONTENT).hexdigest()
)
BROKEN = http.client.IncompleteRead(b"")


class Server:
    """Answers with the rest of a file, and breaks off after so many bytes."""

    def __init__(
        self,
        content: bytes = CONTENT,
        *,
        breaks_after: int = 1 << 30,
        ranges: bool = True,
        fault: Exception = BROKEN,
    ):
        self.content, self.breaks_after, self.ranges = content, breaks_after, ranges
        self.fault = fault
        self.starts: list[int] = []

    def __call__(self, url: str, start: int) -> "Answer":
        assert url == FILE.url
        self.starts.append(start)
        first = start if self.ranges else 0
        return Answer(206 if first else 200, self.content[first:], self.breaks_after, self.fault)


class Answer:
    def __init__(self, status: int, content: bytes, breaks_after: int, fault: Exception):
        self.status, self.left, self.stream = status, breaks_after, io.BytesIO(content)
        self.fault = fault

    def read(self, size: int, /) -> bytes:
        if self.left <= 0:
            raise self.fault
        data = self.stream.read(min(size, self.left, 1000))
        self.left -= len(data)
        return data

    def close(self) -> None:
        self.stream.close()


def test_a_file_is_fetched_checked_and_named(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(FILE, tmp_path / "new", open_url=Server(), progress=lambda *at: seen.append(at))
    assert path == tmp_path / "new" / "set.zip"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in path.parent.iterdir()] == ["set.zip"]


@pytest.mark.parametrize(
    "fault",
    [
        BROKEN,
        ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]"),
        OSError(errno.EHOSTUNREACH, "No route to host"),
    ],
)
def test_a_broken_connection_is_gone_on_with(tmp_path: Path, fault: Exception) -> None:
    server = Server(breaks_after=2000, fault=fault)
    assert fetch(FILE, tmp_path, open_url=server).read_bytes() == CONTENT
    assert server.starts == [0, 2000, 4000]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk_is_no_fault_of_the_network(tmp_path: Path) -> None:
    (tmp_path / "set.zip.part").symlink_to("/dev/full")
    with pytest.raises(DiskFullError, match=r"cannot write .*set\.zip\.part: No space left"):
        fetch(FILE, tmp_path, open_url=Server())


def test_what_an_earlier_command_left_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:1234])
    server = Server()
    assert fetch(FILE, tmp_path, open_url=server).read_bytes() == CONTENT
    assert server.starts == [1234]


def test_a_server_without_ranges_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:1234])
    assert fetch(FILE, tmp_path, open_url=Server(ranges=False)).read_bytes() == CONTENT


def test_a_server_that_sends_nothing_ends_it_and_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:1234])
    with pytest.raises(InputError, match=r"1,234 of 5,120 bytes are in .*Repeat the command"):
        fetch(FILE, tmp_path, open_url=Server(breaks_after=0))
    assert (tmp_path / "set.zip.part").stat().st_size == 1234


def test_another_content_is_refused_and_removed(tmp_path: Path) -> None:
    changed = Server(b"\1" + CONTENT[1:])
    with pytest.raises(InputError, match=f"expected {FILE.sha256}; it was changed"):
        fetch(FILE, tmp_path, open_url=changed)
    assert list(tmp_path.iterdir()) == []


def test_not_a_byte_more_than_announced_is_taken(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sends more than the 5,120 bytes"):
        fetch(FILE, tmp_path, open_url=Server(CONTENT + b"x" * 100_000))
    assert (tmp_path / "set.zip.part").stat().st_size <= len(CONTENT)


def test_a_file_that_is_there_is_hashed_again(tmp_path: Path) -> None:
    path = fetch(FILE, tmp_path, open_url=Server())
    assert fetch(FILE, tmp_path, open_url=_unreachable) == path
    path.write_bytes(CONTENT[:-1] + b"\0")
    with pytest.raises(InputError, match="SHA-256"):
        fetch(FILE, tmp_path, open_url=_unreachable)


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (urllib.error.HTTPError(FILE.url, 404, "Not Found", None, None), "Not Found"),  # type: ignore[arg-type]
        (urllib.error.URLError("Name or service not known"), "Name or service not known"),
        (TimeoutError("timed out"), "timed out"),
        (ConnectionResetError("reset by peer"), "reset by peer"),
        (ssl.SSLError(1, "bad record"), "bad record"),
    ],
)
def test_faults_of_the_network_are_shown(tmp_path: Path, fault: Exception, shown: str) -> None:
    def fail(_url: str, _start: int) -> Answer:
        raise fault

    with pytest.raises(InputError, match=shown):
        fetch(FILE, tmp_path, open_url=fail)


def test_the_network_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALSEG_OFFLINE", "1")
    with pytest.raises(InputError, match="since DUALSEG_OFFLINE is set"):
        fetch(FILE, tmp_path, open_url=_unreachable)


def test_a_small_disk_is_noticed_before(tmp_path: Path) -> None:
    huge = RemoteFile(FILE.url, 1 << 60, FILE.sha256)
    with pytest.raises(InputError, match="bytes free; the archive and what is in it take"):
        fetch(huge, tmp_path, open_url=_unreachable)


def test_only_https_is_asked_and_followed() -> None:
    with pytest.raises(InputError, match="only https is"):
        open_https("http://example.org/set.zip", 0)
    handler = fetching._OnlyHttps()
    request = urllib.request.Request(FILE.url)
    with pytest.raises(InputError, match=r"ftp://example\.org/set\.zip is not fetched"):
        handler.redirect_request(
            request, io.BytesIO(), 302, "", http.client.HTTPMessage(), "ftp://example.org/set.zip"
        )


def test_every_published_file_has_https_a_size_and_a_full_hash() -> None:
    for download in DOWNLOADS.values():
        for file in download.files:
            assert file.url.startswith("https://")
            assert file.num_bytes > 1e8
            assert len(file.sha256) == 64
            int(file.sha256, 16)
        assert "terms" in download.terms


def test_each_data_set_is_downloaded_or_says_where_it_is_to_be_had() -> None:
    for name in set(list_datasets()) - {"folder", "streets", "shards", *DOWNLOADS}:
        with pytest.raises(InputError, match=r"not downloaded: .*Expected: .*Get it from http"):
            find_download(name)


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(InputError, match=r"no download 'voc12'; did you mean voc"):
        find_download("voc12")


@pytest.fixture
def small_ade20k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], Answer]:
    """ADE20K's archive with two images a split, served by a server that knows no ranges."""
    make_ade20k(tmp_path / "origin")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((tmp_path / "origin").rglob("*.*")):
            file.write(path, path.relative_to(tmp_path / "origin").as_posix())
    content = archive.getvalue()
    remote = RemoteFile(FILE.url, len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(downloads, "DOWNLOADS", {"ade20k": Download((remote,), "none")})
    server = Server(content)
    monkeypatch.setattr(
        downloads, "fetch", lambda file, at, progress: fetch(file, at, open_url=server)
    )
    return server


def test_a_data_set_is_fetched_unpacked_and_opened(tmp_path: Path, small_ade20k: Server) -> None:
    out = tmp_path / "out"
    download_dataset("ade20k", out)
    assert len(open_dataset("ade20k", root=out, split="train")) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["origin", "out"]
    with pytest.raises(InputError, match="exists; choose a new folder"):
        download_dataset("ade20k", out)
    assert small_ade20k.starts == [0]


def _unreachable(_url: str, _start: int) -> Answer:
    raise AssertionError("asked for")
