"""Shards on servers: in fsspec's memory file system, and over HTTP on this machine."""

import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
from shard_files import file_dataset, image, label, pairs, write_tar

from dualseg.core.errors import InputError
from dualseg.data.shards import cache as cache_module
from dualseg.data.shards import reading
from dualseg.data.shards.cache import ShardCache, cache_from_environment
from dualseg.data.shards.reading import read_range, stamp_of
from dualseg.data.shards.source import describe_shards
from dualseg.data.shards.writer import write_shards


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(reading, "FIRST_WAIT_SECONDS", 0.01)


@pytest.fixture
def bucket() -> Iterator[str]:
    """A folder in memory."""
    files = fsspec.filesystem("memory")
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


class _Handler(SimpleHTTPRequestHandler):
    requests: ClassVar[list[tuple[str, str, int]]] = []  # method, path, bytes sent
    ranges = True
    outages = 0  # so many answers are 503

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        self._answer(send=True)

    def _answer(self, *, send: bool) -> None:
        path = Path(self.translate_path(self.path))
        if self.outages:
            type(self).outages -= 1
            self.send_error(503)
            return
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        part = data
        if wanted and self.ranges:
            part = data[int(wanted[1]) : int(wanted[2]) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {wanted[1]}-{wanted[2]}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        if self.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.requests.append((self.command, path.name, len(part) if send else 0))
        if send:
            self.wfile.write(part)


class Server:
    """A folder behind http://127.0.0.1."""

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.handler = type("Handler", (_Handler,), {"requests": [], "ranges": True, "outages": 0})
        serve = lambda *a, **k: self.handler(*a, directory=str(folder), **k)  # noqa: E731
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), serve)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def requests(self) -> list[tuple[str, str, int]]:
        return self.handler.requests

    def sent(self, name: str) -> int:
        """Bytes of a file that were handed out."""
        return sum(count for _, asked, count in self.requests if asked == name)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    pytest.importorskip("aiohttp")
    started = Server(tmp_path / "served")
    yield started
    started.http.shutdown()


def _upload(folder: Path, bucket: str) -> None:
    for path in folder.iterdir():
        fsspec.filesystem("memory").pipe(
            f"{bucket.removeprefix('memory:/')}/{path.name}", path.read_bytes()
        )


def test_a_folder_of_our_shards_in_a_bucket_is_read(tmp_path: Path, bucket: str) -> None:
    source = file_dataset(tmp_path / "f", 3)
    write_shards(source, tmp_path / "out", images_per_shard=2)
    _upload(tmp_path / "out", bucket)
    read = describe_shards(bucket).open("train")
    assert [read.name(n) for n in range(3)] == [source.name(n) for n in range(3)]
    assert read.image(2).tolist() == source.image(2).tolist()
    assert read.label_map(2).tolist() == label(2).tolist()


def test_a_pattern_and_a_star_in_a_bucket(tmp_path: Path, bucket: str) -> None:
    for number in range(2):
        write_tar(tmp_path / f"out/train-{number}.tar", pairs(2, first=2 * number))
    (tmp_path / "out/dataset.yaml").write_text("class_names: [a, b, c]\n")
    _upload(tmp_path / "out", bucket)
    for root in (f"{bucket}/train-{{0..1}}.tar", f"{bucket}/train-*.tar", bucket):
        read = describe_shards(root).open("train")
        assert [read.name(n) for n in range(4)] == ["0000", "0001", "0002", "0003"]
        assert read.labels.class_names == ("a", "b", "c")


def test_over_http_only_headers_and_what_is_asked_for_are_read(
    tmp_path: Path, server: Server
) -> None:
    big = {f"{n}.bin": bytes(300_000) for n in range(5)}
    write_tar(server.folder / "train-0.tar", pairs(2) | big | pairs(2, first=2))
    (server.folder / "dataset.yaml").write_text("class_names: [a, b, c]\n")
    read = describe_shards(f"{server.url}/train-{{0..0}}.tar").open("train")
    assert len(read) == 4
    assert server.sent("train-0.tar") < 600_000  # of 1.5 million
    before = server.sent("train-0.tar")
    assert read.label_map(3).tolist() == label(3).tolist()
    assert server.sent("train-0.tar") - before < 2000


def test_the_second_opening_reads_no_header(tmp_path: Path, server: Server) -> None:
    write_tar(server.folder / "train-0.tar", pairs(3))
    (server.folder / "dataset.yaml").write_text("class_names: [a, b, c]\n")
    pattern = f"{server.url}/train-{{0..0}}.tar"
    describe_shards(pattern).open("train")
    server.requests.clear()
    assert len(describe_shards(pattern).open("train")) == 3
    assert server.sent("train-0.tar") == 0
    write_tar(server.folder / "train-0.tar", pairs(4))
    assert len(describe_shards(pattern).open("train")) == 4


def test_the_index_written_with_shards_is_fetched_in_their_place(
    tmp_path: Path, server: Server
) -> None:
    write_shards(file_dataset(tmp_path / "f", 2), server.folder)
    assert len(describe_shards(server.url).open("train")) == 2
    assert server.sent("train-000000.tar") == 0
    assert server.sent("train-000000.tar.index") > 0


def test_a_server_without_ranges_is_named_not_believed(tmp_path: Path, server: Server) -> None:
    write_shards(file_dataset(tmp_path / "f", 2), server.folder)
    read = describe_shards(server.url).open("train")
    server.handler.ranges = False
    with pytest.raises(InputError, match="answers with the whole file in place of"):
        read.image(0)


def test_what_is_not_there_and_who_does_not_answer(server: Server) -> None:
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:\d+/a\.tar is not there"):
        stamp_of(f"{server.url}/a.tar")
    with pytest.raises(InputError, match=r"cannot read http://127\.0\.0\.1:9/a\.tar"):
        read_range("http://127.0.0.1:9/a.tar", 0, 5)


def test_an_outage_is_no_missing_file(tmp_path: Path, server: Server) -> None:
    write_tar(server.folder / "train-0.tar", pairs(2))
    (server.folder / "dataset.yaml").write_text("class_names: [a, b, c]\n")
    pattern = f"{server.url}/train-{{0..0}}.tar"
    server.handler.outages = 1  # dataset.yaml is asked for again, not taken for missing
    assert describe_shards(pattern).open("train").labels.class_names == ("a", "b", "c")
    server.handler.outages = 1000
    with pytest.raises(InputError, match=r"cannot read .*dataset\.yaml: 503"):
        describe_shards(pattern)
    with pytest.raises(InputError, match=r"cannot read .*train-0\.tar"):
        stamp_of(f"{server.url}/train-0.tar")


def test_a_protocol_without_its_package_names_the_pip_command() -> None:
    with pytest.raises(InputError, match=r"needs another package: pip install 'dualseg\[remote\]'"):
        stamp_of("dropbox://b/a.tar")


def test_a_failing_answer_is_asked_for_again(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = fsspec.filesystem("memory")
    files.pipe("/bucket/a.tar", b"0123456789")
    calls, real = [], type(files).cat_file

    def shaky(self, path, start=None, end=None, **kwargs):
        calls.append(path)
        if len(calls) < 3:
            raise ConnectionError("reset by peer")
        return real(self, path, start, end, **kwargs)

    monkeypatch.setattr(type(files), "cat_file", shaky)
    assert read_range(f"{bucket}/a.tar", 2, 3) == b"234"
    assert len(calls) == 3


def _image(dataset, index: int):
    return dataset.image(index).tolist()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_from_a_server(method: str, tmp_path: Path, server: Server) -> None:
    source = file_dataset(tmp_path / "f", 4)
    write_shards(source, server.folder)
    read = describe_shards(server.url).open("train")
    assert _image(read, 0) == source.image(0).tolist()  # connections of this process stay its own
    with get_context(method).Pool(2 if method == "fork" else 1) as pool:
        found = pool.starmap(_image, [(read, n) for n in range(4)])
    assert found == [source.image(n).tolist() for n in range(4)]


def _cached(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, gigabytes: str = "1"):
    monkeypatch.setenv("DUALSEG_SHARD_CACHE", str(cache))
    monkeypatch.setenv("DUALSEG_SHARD_CACHE_GB", gigabytes)
    return describe_shards(server.url).open("train")


def test_a_cache_fetches_each_shard_once(tmp_path: Path, server: Server, monkeypatch) -> None:
    source = file_dataset(tmp_path / "f", 4)
    write_shards(source, server.folder, images_per_shard=2)
    server.handler.ranges = False  # whole files are enough
    read = _cached(server, tmp_path / "copies", monkeypatch)
    for _ in range(2):
        assert [_image(read, n) for n in range(4)] == [source.image(n).tolist() for n in range(4)]
    gets = [name for method, name, _ in server.requests if (method, name[-4:]) == ("GET", ".tar")]
    assert sorted(gets) == ["train-000000.tar", "train-000001.tar"]


def test_many_processes_fetch_a_shard_once(tmp_path: Path, server: Server, monkeypatch) -> None:
    source = file_dataset(tmp_path / "f", 2)
    write_shards(source, server.folder)
    read = _cached(server, tmp_path / "copies", monkeypatch)
    with get_context("fork").Pool(4) as pool:
        pool.starmap(_image, [(read, n % 2) for n in range(8)])
    assert [name for _, name, count in server.requests if name.endswith(".tar") and count] == [
        "train-000000.tar"
    ]


def test_a_full_cache_drops_what_was_used_longest_ago(
    tmp_path: Path, server: Server, monkeypatch
) -> None:
    write_shards(file_dataset(tmp_path / "f", 3), server.folder, images_per_shard=1)
    size = (server.folder / "train-000000.tar").stat().st_size
    read = _cached(server, tmp_path / "copies", monkeypatch, str(2.5 * size / 1e9))
    for number in (0, 1, 0, 2):  # 1 has to go
        read.image(number)
    assert len(list((tmp_path / "copies").glob("*.tar"))) == 2
    server.requests.clear()
    for number in (0, 2):
        read.image(number)
    assert server.requests == []
    read.image(1)
    assert server.sent("train-000001.tar") == size


def test_a_damaged_shard_does_not_enter_the_cache(
    tmp_path: Path, server: Server, monkeypatch
) -> None:
    write_shards(file_dataset(tmp_path / "f", 1), server.folder)
    shard = server.folder / "train-000000.tar"
    data = bytearray(shard.read_bytes())
    data[700] ^= 1
    shard.write_bytes(data)
    read = _cached(server, tmp_path / "copies", monkeypatch)
    with pytest.raises(InputError, match="is damaged: its SHA-256 is"):
        read.image(0)
    assert not list((tmp_path / "copies").glob("*.tar"))


def test_a_transfer_that_breaks_off_is_begun_again(
    tmp_path: Path, server: Server, monkeypatch
) -> None:
    write_shards(file_dataset(tmp_path / "f", 1), server.folder)
    read = _cached(server, tmp_path / "copies", monkeypatch)
    calls, real = [], cache_module.read_chunks

    def broken(place: str) -> Iterator[bytes]:
        calls.append(place)
        for chunk in real(place):
            yield chunk[:100] if len(calls) == 1 else chunk

    monkeypatch.setattr(cache_module, "read_chunks", broken)
    assert _image(read, 0) == image(0).tolist()
    assert len(calls) == 2


def test_a_copy_that_vanishes_is_fetched_again(tmp_path: Path, server: Server, monkeypatch) -> None:
    write_shards(file_dataset(tmp_path / "f", 1), server.folder)
    read = _cached(server, tmp_path / "copies", monkeypatch)
    first = _image(read, 0)
    for copy in (tmp_path / "copies").glob("*.tar"):
        copy.unlink()
    assert _image(read, 0) == first


def test_the_size_of_the_cache_must_be_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_from_environment() is None
    monkeypatch.setenv("DUALSEG_SHARD_CACHE", "/somewhere")
    cache = cache_from_environment()
    assert isinstance(cache, ShardCache)
    assert cache.max_bytes == 64_000_000_000
    for wrong in ("much", "-1", "0", "inf"):
        monkeypatch.setenv("DUALSEG_SHARD_CACHE_GB", wrong)
        with pytest.raises(InputError, match="must be a number of gigabytes"):
            cache_from_environment()
