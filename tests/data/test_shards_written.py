"""What `write_shards` writes, and that reading gives it back."""

import hashlib
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import SquareDataset
from shard_files import LABELS, file_dataset, image, label

from dualseg.config import read_yaml
from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import FileDataset
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.loading.cache_stores import RamStore
from dualseg.data.shards.samples import decoded_key, encoded_key
from dualseg.data.shards.source import describe_shards
from dualseg.data.shards.writer import write_shards


def test_images_come_back_byte_by_byte_and_labels_as_ids(tmp_path: Path) -> None:
    source = file_dataset(tmp_path / "files", 5, ending="jpg")
    paths = write_shards(source, tmp_path / "out", images_per_shard=2)
    assert [path.name for path in paths] == [f"train-{n:06d}.tar" for n in range(3)]
    read = describe_shards(str(tmp_path / "out")).open("train")
    assert (len(read), read.split, read.labels) == (5, "train", LABELS)
    for number in range(5):
        assert read.name(number) == source.name(number)
        assert read.image_bytes(number) == source.pairs[number].image.read_bytes()
        assert read.image(number).tolist() == source.image(number).tolist()
        assert read.label_map(number).tolist() == label(number).tolist()


def test_members_lie_side_by_side_under_one_key_without_dots(tmp_path: Path) -> None:
    (path,) = write_shards(file_dataset(tmp_path / "files", 2), tmp_path / "out")
    with tarfile.open(path) as file:
        names = [member.name for member in file.getmembers()]
        facts = {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in file.getmembers()}
    assert names == [f"train s%2E{n}.{end}" for n in (0, 1) for end in ("png", "label.png")]
    assert facts == {(0, 0, 0, "", "", 0o644)}


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    source = file_dataset(tmp_path / "files", 3)
    first = write_shards(source, tmp_path / "a", images_per_shard=2)
    for pair in source.pairs:
        pair.image.touch()
    second = write_shards(source, tmp_path / "b", images_per_shard=2)
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert (tmp_path / "a/dataset.yaml").read_bytes() == (tmp_path / "b/dataset.yaml").read_bytes()


def test_the_record_lists_classes_counts_and_hashes(tmp_path: Path) -> None:
    paths = write_shards(file_dataset(tmp_path / "f", 3), tmp_path / "out", images_per_shard=2)
    record = read_yaml(tmp_path / "out/dataset.yaml")
    assert record["class_names"] == ["ground", "house", "tree"]
    assert record["palette"] == [[1, 2, 3], [200, 0, 0], [0, 200, 0]]
    listed = record["shards"]["splits"]["train"]
    assert [row["images"] for row in listed] == [2, 1]
    assert [row["sha256"] for row in listed] == [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    ]


def test_drawn_images_become_lossless_pngs(tmp_path: Path) -> None:
    source = SquareDataset(3)
    write_shards(source, tmp_path)
    read = describe_shards(str(tmp_path)).open("train")
    assert all((read.image(n) == source.image(n)).all() for n in range(3))
    assert all((read.label_map(n) == source.label_map(n)).all() for n in range(3))


def test_other_raw_values_become_class_ids(tmp_path: Path) -> None:
    plain = file_dataset(tmp_path / "f", 1)
    moved = LabelSpec(LABELS.class_names, LABELS.palette, {0: 2, 1: 255, 2: 0, 255: 1})
    write_shards(FileDataset(plain.pairs, moved, "train"), tmp_path / "out")
    read = describe_shards(str(tmp_path / "out")).open("train")
    expected = FileDataset(plain.pairs, moved, "train").label_map(0)
    assert read.label_map(0).tolist() == expected.tolist()
    assert sorted(np.unique(expected)) == [0, 1, 2, 255]
    assert read.labels.values == {0: 0, 1: 1, 2: 2, 255: 255}


def test_how_images_are_read_goes_with_them(tmp_path: Path) -> None:
    plain = file_dataset(tmp_path / "f", 1)
    spec = ImageSpec(channels=(3, 1), max_value=65535)
    write_shards(FileDataset(plain.pairs, LABELS, "train", images=spec), tmp_path / "out")
    read = describe_shards(str(tmp_path / "out")).open("train")
    assert read.images == spec
    assert read.image(0).tolist() == image(0)[..., [2, 0]].tolist()


def test_shards_of_shards_keep_the_original_bytes(tmp_path: Path) -> None:
    source = file_dataset(tmp_path / "f", 3, ending="jpg")
    write_shards(source, tmp_path / "a", images_per_shard=1)
    read = describe_shards(str(tmp_path / "a")).open("train")
    write_shards(CachedDataset(read, RamStore()), tmp_path / "b", images_per_shard=3)
    again = describe_shards(str(tmp_path / "b")).open("train")
    assert [again.image_bytes(n) for n in range(3)] == [read.image_bytes(n) for n in range(3)]
    assert [again.name(n) for n in range(3)] == [source.name(n) for n in range(3)]


def test_a_second_split_joins_the_first(tmp_path: Path) -> None:
    write_shards(file_dataset(tmp_path / "f", 2), tmp_path / "out")
    write_shards(file_dataset(tmp_path / "g", 1, split="val"), tmp_path / "out")
    found = describe_shards(str(tmp_path / "out"))
    assert (len(found.open("train")), len(found.open("validation"))) == (2, 1)
    assert found.notes[0] == "shards: 1 of train, 1 of val"


def test_nothing_is_written_over(tmp_path: Path) -> None:
    source = file_dataset(tmp_path / "f", 2)
    write_shards(source, tmp_path / "out")
    with pytest.raises(InputError, match="holds a split 'train' already"):
        write_shards(source, tmp_path / "out")
    other = LabelSpec(("a", "b", "c"), LABELS.palette)
    with pytest.raises(InputError, match="other classes, colours or image values"):
        write_shards(FileDataset(source.pairs, other, "val"), tmp_path / "out")
    (tmp_path / "g").mkdir()
    (tmp_path / "g/dataset.yaml").write_text("class_names: [a, b]\n")
    with pytest.raises(InputError, match="of other data; choose a new folder"):
        write_shards(source, tmp_path / "g")


def test_a_fault_on_the_way_leaves_no_record_and_no_half_shard(tmp_path: Path) -> None:
    source = file_dataset(tmp_path / "f", 4)
    source.pairs[3].label.write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        write_shards(source, tmp_path / "out", images_per_shard=2)
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == ["train-000000.tar", "train-000000.tar.index"]
    source.pairs[3].label.write_bytes(source.pairs[0].label.read_bytes())
    assert len(write_shards(source, tmp_path / "out", images_per_shard=2)) == 2


def test_progress_is_told_image_by_image(tmp_path: Path) -> None:
    told = []
    write_shards(
        file_dataset(tmp_path / "f", 3),
        tmp_path / "out",
        images_per_shard=2,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("count", [0, -1])
def test_a_shard_holds_at_least_one_image(count: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one goes into a shard"):
        write_shards(SquareDataset(1), tmp_path, images_per_shard=count)


def test_a_split_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to write"):
        write_shards(SquareDataset(0), tmp_path / "out")
    assert not (tmp_path / "out").exists()


NAMES = st.text(min_size=0, max_size=30)


@given(first=NAMES, second=NAMES)
def test_every_name_has_a_key_of_its_own_that_webdataset_can_split(first: str, second: str) -> None:
    key = encoded_key(first)
    assert decoded_key(key) == first
    assert key
    assert "." not in key
    assert (encoded_key(second) == key) == (second == first)


@pytest.mark.parametrize(
    "name", ["", "/a", "a//b", "../x", "__key__", "a/__b", "a\\b", "C:x", "\udcff"]
)
def test_odd_names_come_back_from_a_shard(name: str, tmp_path: Path) -> None:
    class Odd(SquareDataset):
        def name(self, index: int) -> str:
            return name

    write_shards(Odd(1), tmp_path)
    assert describe_shards(str(tmp_path)).open("train").name(0) == name
