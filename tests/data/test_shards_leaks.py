from pathlib import Path

from shard_files import file_dataset, image, label, png, write_tar

from dualseg.data.shards.leaks import equal_images
from dualseg.data.shards.reader import ShardDataset
from dualseg.data.shards.source import describe_shards
from dualseg.data.shards.writer import write_shards


def _split(folder: Path, name: str, numbers: list[int]) -> ShardDataset:
    members = {}
    for place, number in enumerate(numbers):
        members[f"{name}{place}.jpg"] = png(image(number))
        members[f"{name}{place}.seg.png"] = png(label(number))
    write_tar(folder / f"{name}-0.tar", members)
    (folder / "dataset.yaml").write_text("class_names: [a, b, c]\n")
    return describe_shards(str(folder)).open(name)


def test_images_in_two_splits_and_twice_in_one_are_found(tmp_path: Path) -> None:
    train, val = _split(tmp_path, "train", [1, 2, 3, 1]), _split(tmp_path, "val", [4, 2])
    assert equal_images([train, val]) == [[(0, 0), (0, 3)], [(0, 1), (1, 1)]]


def test_images_of_different_length_are_not_read(tmp_path: Path, monkeypatch) -> None:
    write_shards(file_dataset(tmp_path / "f", 1), tmp_path / "out")
    dataset = describe_shards(str(tmp_path / "out")).open("train")
    monkeypatch.setattr(ShardDataset, "image_bytes", None)
    assert equal_images([dataset]) == []
