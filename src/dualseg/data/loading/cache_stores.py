"""Where decoded pixels are kept: in memory, or on disk for sets that do not fit there."""

import hashlib
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from dualseg.core.errors import InputError
from dualseg.core.files import write_atomic
from dualseg.core.image_spec import Pixels
from dualseg.data.dataset import FileDataset, SegmentationDataset, images_of
from dualseg.data.labels.label_meaning import reader_meaning
from dualseg.data.shards.reader import ShardDataset

Kind = Literal["image", "label"]

FORMAT = 1  # of the files; another number is another cache


class Store(Protocol):
    """Remembers decoded images and label maps by index."""

    def get(self, index: int, kind: Kind) -> Pixels | None:
        """What was put there, or None."""
        ...

    def put(self, index: int, kind: Kind, pixels: Pixels) -> None:
        """Remembers; what was there before is replaced."""
        ...


class RamStore:
    """In the memory of this process, and of those forked from it later."""

    def __init__(self) -> None:
        self._pixels: dict[tuple[int, Kind], Pixels] = {}

    def get(self, index: int, kind: Kind) -> Pixels | None:
        return self._pixels.get((index, kind))

    def put(self, index: int, kind: Kind, pixels: Pixels) -> None:
        self._pixels[index, kind] = pixels


class DiskStore:
    """Memory-mapped `.npy` files: only the rows of a crop are read, not the whole image.

    A file is named by a hash of everything its content depends on: the sample's name, path, size
    and time of change of the source, for labels what their values, colours or shapes mean, and for
    images of declared bands and values which ones they are. So a changed source is another file,
    many processes can fill one folder, a kill leaves no half file, and the folder may be deleted at
    any time.

    Args:
        dataset: Whose samples are kept; each must lie in a file.
        folder: Made if need be.

    Raises:
        InputError: The data set is generated and has no files.
    """

    def __init__(self, dataset: SegmentationDataset, folder: Path):
        if _is_drawn(dataset):
            raise InputError(
                f"data.cache: disk keeps what is decoded from files, but the split "
                f"{dataset.split!r} is drawn on the fly; use data.cache=ram"
            )
        self.dataset = dataset
        self.folder = folder
        values = sorted(dataset.labels.values.items())
        drawn_as = reader_meaning(dataset) if isinstance(dataset, FileDataset) else ""
        images = images_of(dataset)
        read_as = "" if images.is_plain else f" {images}"
        self._meaning = {"image": f"{FORMAT}{read_as}", "label": f"{FORMAT} {values}{drawn_as}"}

    def get(self, index: int, kind: Kind) -> Pixels | None:
        try:
            return np.load(self._file(index, kind), mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, ValueError, EOFError):  # not there, or damaged
            return None

    def put(self, index: int, kind: Kind, pixels: Pixels) -> None:
        file = self._file(index, kind)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"cannot make the cache folder {file.parent} ({error.strerror}); choose another "
                "data.cache_dir, or data.cache=none"
            ) from None
        plain = np.ascontiguousarray(pixels)
        write_atomic(file, lambda stream: np.save(stream, plain, allow_pickle=False))

    def _file(self, index: int, kind: Kind) -> Path:
        facts = (
            self._meaning[kind],
            self.dataset.name(index),  # one file may hold the labels of many images
            *_source_facts(self.dataset, index, kind),
        )
        text = " ".join(map(str, facts)).encode("utf-8", "surrogateescape")
        key = hashlib.blake2b(text, digest_size=16).hexdigest()
        return self.folder / key[:2] / f"{key[2:]}.npy"


def _is_drawn(dataset: SegmentationDataset) -> bool:
    in_files = isinstance(dataset, ShardDataset) or not len(dataset)
    return not in_files and dataset.image_path(0) is None


def _source_facts(
    dataset: SegmentationDataset, index: int, kind: Kind
) -> tuple[Path | str | int, ...]:
    """Where the source is, its size and time of change."""
    if isinstance(dataset, ShardDataset):
        return dataset.member_facts(index, kind)
    source = dataset.image_path(index) if kind == "image" else dataset.label_path(index)
    assert source is not None, "checked at the start"
    try:
        status = source.stat()
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}") from None
    return source.absolute(), status.st_size, status.st_mtime_ns
