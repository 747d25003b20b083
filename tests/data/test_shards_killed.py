"""Shards and their indexes, written by a process that is killed at each change of a file."""

from pathlib import Path

from shard_files import file_dataset

from dualseg.core.files import TEMPORARY_MARK
from dualseg.data.shards.index import read_index
from dualseg.data.shards.source import describe_shards
from dualseg.data.shards.writer import write_shards
from kill_points import dies_at


def test_what_stands_under_a_final_name_is_whole_and_the_rest_is_written_anew(
    tmp_path: Path,
) -> None:
    source = file_dataset(tmp_path / "files", 3)
    write_shards(source, tmp_path / "whole", images_per_shard=2)
    whole = contents(tmp_path / "whole")
    point = 1
    while True:
        out = tmp_path / f"killed_{point}"
        if not dies_at(point, out, lambda out=out: write_shards(source, out, images_per_shard=2)):
            break
        assert contents(out).items() <= whole.items()
        if "dataset.yaml" not in contents(out):
            write_shards(source, out, images_per_shard=2)
        assert contents(out) == whole
        point += 1
    assert point > 10


def test_an_index_is_whole_or_not_there(tmp_path: Path) -> None:
    (shard,) = write_shards(file_dataset(tmp_path / "files", 3), tmp_path / "out")
    index = Path(f"{shard}.index")
    assert index.is_file()

    def build() -> object:
        return read_index(str(shard), None, folder=tmp_path / "cache")

    index.unlink()
    found = build()
    scanned = index.read_bytes()
    point = 1
    while True:
        index.unlink()
        if not dies_at(point, shard.parent, build):
            break
        assert not index.exists() or index.read_bytes() == scanned
        assert build() == found
        point += 1
    assert point > 2
    assert len(describe_shards(str(tmp_path / "out")).open("train")) == 3


def contents(folder: Path) -> dict[str, bytes]:
    """What stands under final names; an index also says when its shard was written."""
    return {
        path.name: b"" if path.name.endswith(".index") else path.read_bytes()
        for path in folder.glob("*")
        if not path.name.startswith(TEMPORARY_MARK)
    }
