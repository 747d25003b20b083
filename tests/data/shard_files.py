"""Tiny data sets and tars for the tests of shards."""

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import FileDataset, Pair

LABELS = LabelSpec(("ground", "house", "tree"), ((1, 2, 3), (200, 0, 0), (0, 200, 0)))


def png(values: ArrayLike, dtype: type = np.uint8) -> bytes:
    """An array as the bytes of a PNG."""
    stream = io.BytesIO()
    Image.fromarray(np.asarray(values, dtype)).save(stream, format="PNG")
    return stream.getvalue()


def label(number: int) -> np.ndarray:
    """(4, 6) ids that tell the number, with an ignored corner."""
    ids = np.full((4, 6), number % 3, np.uint8)
    ids[0, 0], ids[3, 1:5] = 255, [0, 1, 2, number % 2]
    return ids


def image(number: int) -> np.ndarray:
    """(4, 6, 3) that tells the number."""
    return (np.arange(72) + number).astype(np.uint8).reshape(4, 6, 3)


def file_dataset(
    folder: Path, count: int, *, split: str = "train", ending: str = "png"
) -> FileDataset:
    """Pairs of files named s0, s1 and so on, with dots and spaces where a name allows them."""
    pairs = []
    for number in range(count):
        name = f"{split} s.{number}"
        pair = Pair(name, folder / f"{name}.{ending}", folder / f"{name} label.png")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image(number)).save(pair.image)
        pair.label.write_bytes(png(label(number)))
        pairs.append(pair)
    return FileDataset(tuple(pairs), LABELS, split)


def write_tar(path: Path, members: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> Path:
    """A plain tar, as other tools write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, content in members.items() if isinstance(members, Mapping) else members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def pairs(
    count: int, *, image_ending: str = "jpg", label_ending: str = "seg.png", first: int = 0
) -> dict[str, bytes]:
    """Members of `count` samples, as other tools name them."""
    members = {}
    for number in range(first, first + count):
        members[f"{number:04d}.{image_ending}"] = png(image(number))
        members[f"{number:04d}.{label_ending}"] = png(label(number))
    return members
