"""Files of shapes with flipped, cut and doubled bytes are read or refused, and nothing else."""

import random
from pathlib import Path

import pytest
from pictures import SquareDataset

from dualseg.core.errors import InputError
from dualseg.data.convert.convert import convert_dataset
from dualseg.data.datasets.folder import describe_folder

FILES = {
    "coco": "annotations/instances_train.json",
    "cvat": "annotations.xml",
    "labelme": "train/square_1.json",
    "yolo": "labels/train/square_1.txt",
}
PIECES = (
    b"-",
    b"e9",
    b"99999999999999999999999",
    b"null",
    b"NaN",
    b"1e400",
    b"[",
    b"{}",
    b'"',
    b"\xff",
)


def _mutated(content: bytes, chance: random.Random) -> bytes:
    at, to = sorted(chance.randrange(len(content)) for _ in range(2))
    kind = chance.randrange(4)
    if kind == 0:
        return content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]
    if kind == 1:
        return content[:at] + chance.choice(PIECES) + content[at + chance.randrange(3) :]
    if kind == 2:
        return content[:at] + content[min(to, at + 30) :]
    return content[:to] + content[at:]


@pytest.mark.parametrize("name", FILES)
def test_mutated_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    convert_dataset([SquareDataset(3, 6, 8)], name, tmp_path / "data")
    file = tmp_path / "data" / FILES[name]
    content, refused = file.read_bytes(), 0
    for seed in range(400):
        file.write_bytes(_mutated(content, random.Random(seed)))
        try:
            description = describe_folder(tmp_path / "data")
            for split in description.splits:
                dataset = description.open(split)
                for index in range(len(dataset)):
                    assert dataset.label_map(index).max() in (0, 1, 255)
        except InputError:
            refused += 1
    assert 20 < refused < 400
