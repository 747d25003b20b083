"""Indexes are built once, and good as long as their shard is the same."""

import os
import pickle
from multiprocessing import get_context
from pathlib import Path

import pytest
from shard_files import file_dataset, pairs, write_tar

from dualseg.core.errors import InputError
from dualseg.data.shards import index as index_module
from dualseg.data.shards.index import read_index, read_indexes
from dualseg.data.shards.source import describe_shards
from dualseg.data.shards.urls import INDEX_SUFFIX
from dualseg.data.shards.writer import write_shards


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the shards whose headers were read."""
    scanned: list[str] = []
    real = index_module.scan_members

    def scan(read, length, origin):
        scanned.append(origin)
        return real(read, length, origin)

    monkeypatch.setattr(index_module, "scan_members", scan)
    return scanned


def test_headers_are_read_once(tmp_path: Path, scans: list[str]) -> None:
    shard = str(write_tar(tmp_path / "a.tar", pairs(3)))
    first = read_index(shard, None, folder=tmp_path / "cache")
    assert read_index(shard, None, folder=tmp_path / "cache") == first
    assert len(first[1]) == 6
    assert scans == [shard]
    assert not (tmp_path / "cache").exists()


def test_a_changed_shard_is_read_anew(tmp_path: Path, scans: list[str]) -> None:
    shard = write_tar(tmp_path / "a.tar", pairs(3))
    read_index(str(shard), None, folder=tmp_path)
    write_tar(shard, pairs(3, first=3))
    os.utime(shard, ns=(1, 1))
    _, members = read_index(str(shard), None, folder=tmp_path)
    assert members[0].name == "0003.jpg"
    assert len(scans) == 2


def test_beside_read_only_shards_the_index_is_in_the_cache_folder(
    tmp_path: Path, scans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = str(write_tar(tmp_path / "a.tar", pairs(1)))
    real = index_module.write_bytes

    def refuse(path: Path, content: bytes) -> None:
        if path.parent == tmp_path:
            raise InputError("a read-only disk")
        real(path, content)

    monkeypatch.setattr(index_module, "write_bytes", refuse)
    for _ in range(2):
        read_index(shard, None, folder=tmp_path / "cache")
    assert len(scans) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_damaged_index_is_as_none(tmp_path: Path, scans: list[str]) -> None:
    shard = str(write_tar(tmp_path / "a.tar", pairs(2)))
    whole = read_index(shard, None, folder=tmp_path)
    file = Path(shard + INDEX_SUFFIX)
    content = file.read_bytes()
    for damaged in (b"", content[:-5], content.replace(b"0001.jpg", b"0009.jpg"), b"[]", b"\xff"):
        file.write_bytes(damaged)
        assert read_index(shard, None, folder=tmp_path) == whole
    assert len(scans) == 6


def test_an_index_that_points_outside_is_as_none(tmp_path: Path, scans: list[str]) -> None:
    shard = str(write_tar(tmp_path / "a.tar", pairs(1)))
    stamp, members = read_index(shard, None, folder=tmp_path)
    wrong = [members[0]._replace(offset=stamp.size)]
    Path(shard + INDEX_SUFFIX).write_bytes(index_module.index_content(stamp, wrong, None))
    assert read_index(shard, None, folder=tmp_path)[1] == members


def test_shards_that_were_copied_keep_the_index_they_were_written_with(
    tmp_path: Path, scans: list[str]
) -> None:
    write_shards(file_dataset(tmp_path / "f", 3), tmp_path / "out", images_per_shard=2)
    for shard in (tmp_path / "out").glob("*.tar"):
        os.utime(shard, ns=(5, 5))
    assert len(describe_shards(str(tmp_path / "out")).open("train")) == 3
    assert scans == []


def test_a_shard_changed_under_an_open_data_set_is_refused_not_misread(tmp_path: Path) -> None:
    write_shards(file_dataset(tmp_path / "f", 2), tmp_path / "out")
    dataset = describe_shards(str(tmp_path / "out")).open("train")
    shard = Path(dataset.shards[0])
    data = shard.read_bytes()
    shard.write_bytes(b"\0" * 512 + data[:-512])
    with pytest.raises(
        InputError, match=r"train s\.0\.png is not where the index says.*was changed"
    ):
        dataset.image(0)
    shard.write_bytes(data[:540])
    with pytest.raises(InputError, match="is cut off, or has changed"):
        dataset.image(0)
    shard.unlink()
    with pytest.raises(InputError, match=r"there is no shard .*train-000000\.tar any more"):
        dataset.image(0)


def _open(folder: str) -> int:
    return len(describe_shards(folder).open("train"))


def test_many_processes_index_at_once(tmp_path: Path) -> None:
    for number in range(4):
        write_tar(tmp_path / f"train-{number}.tar", pairs(20, first=20 * number))
    (tmp_path / "dataset.yaml").write_text("class_names: [a, b, c]\n")
    with get_context("fork").Pool(4) as pool:
        assert pool.map(_open, [str(tmp_path)] * 8) == [80] * 8
    assert len(list(tmp_path.glob("*.index"))) == 4
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_data_set_travels_to_new_processes(tmp_path: Path) -> None:
    write_shards(file_dataset(tmp_path / "f", 2), tmp_path / "out")
    dataset = describe_shards(str(tmp_path / "out")).open("train")
    there = pickle.loads(pickle.dumps(dataset))
    assert there.image(1).tolist() == dataset.image(1).tolist()
    with get_context("spawn").Pool(1) as pool:
        assert pool.apply(dataset.label_map, (1,)).tolist() == dataset.label_map(1).tolist()


def test_progress_is_told_shard_by_shard(tmp_path: Path) -> None:
    shards = [str(write_tar(tmp_path / f"{n}.tar", pairs(1))) for n in range(3)]
    told = []
    read_indexes(shards, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
