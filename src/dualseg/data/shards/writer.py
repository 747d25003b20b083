"""Data sets written as shards: the same data give the same bytes."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.files import make_folder, write_atomic, write_bytes
from dualseg.core.image_spec import Pixels
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import SegmentationDataset, images_of
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.pictures.images import IMAGE_SUFFIXES
from dualseg.data.shards.index import index_content
from dualseg.data.shards.members import BLOCK, MAX_MEMBER_BYTES, Member
from dualseg.data.shards.reader import ShardDataset
from dualseg.data.shards.reading import stamp_of
from dualseg.data.shards.record import (
    FolderRecord,
    ShardRecord,
    has_shard_record,
    read_record,
    write_record,
)
from dualseg.data.shards.samples import LABEL_EXTENSION, encoded_key
from dualseg.data.shards.urls import INDEX_SUFFIX

IMAGES_PER_SHARD = 1000
RECORD = 20 * BLOCK  # tars are filled up to whole records

Progress = Callable[[int, int], object]


class _Picture(NamedTuple):
    extension: str
    content: bytes


def write_shards(
    dataset: SegmentationDataset,
    out: Path,
    *,
    images_per_shard: int = IMAGES_PER_SHARD,
    progress: Progress | None = None,
) -> list[Path]:
    """Writes a split as `SPLIT-000000.tar` and so on, with an index beside each and `dataset.yaml`.

    Image files are copied byte by byte; drawn images become PNGs. Labels become PNGs of class ids.
    A second split may be added later. What is under a final name is whole; a split counts as
    written when `dataset.yaml` lists it, which is the last step.

    Args:
        dataset: One split.
        out: A folder, made if need be.
        images_per_shard: The last shard may hold fewer.
        progress: Called with (done, total) before the first image and after each.

    Returns:
        The shards.

    Raises:
        InputError: The split is there already, other classes are, or a sample cannot be written.
    """
    if images_per_shard < 1:
        raise InputError(f"images_per_shard is {images_per_shard}; at least one goes into a shard")
    source = dataset.dataset if isinstance(dataset, CachedDataset) else dataset
    if len(source) == 0:
        raise InputError(f"the split {source.split!r} holds no image, so there is nothing to write")
    before = _record_so_far(source, out)
    make_folder(out)
    if progress is not None:
        progress(0, len(source))
    paths, records = [], []
    for number, first in enumerate(range(0, len(source), images_per_shard)):
        path = out / f"{source.split}-{number:06d}.tar"
        some = range(first, min(first + images_per_shard, len(source)))
        records.append(_write_shard(path, source, some, progress))
        paths.append(path)
    splits = {**before.splits, source.split: tuple(records)}
    write_record(out, before._replace(splits=dict(sorted(splits.items()))))
    return paths


def _record_so_far(source: SegmentationDataset, out: Path) -> FolderRecord:
    ours = LabelSpec(source.labels.class_names, source.labels.palette)
    images = images_of(source)
    if not has_shard_record(out):
        if (out / "dataset.yaml").exists():
            raise InputError(f"{out}/dataset.yaml is there, of other data; choose a new folder")
        return FolderRecord(ours, images, {})
    there = read_record(str(out))
    if source.split in there.splits:
        raise InputError(f"{out} holds a split {source.split!r} already; choose a new folder")
    if there.labels != ours or there.images != images:
        raise InputError(
            f"{out} holds shards of other classes, colours or image values; choose a new folder"
        )
    return there


def _write_shard(
    path: Path, source: SegmentationDataset, indices: range, progress: Progress | None
) -> ShardRecord:
    state = hashlib.sha256()
    members: list[Member] = []

    def write(file: IO[bytes]) -> None:
        position = 0
        for index in indices:
            key = encoded_key(source.name(index))
            image, label = _image(source, index), _label_png(source, index)
            for name, content in (
                (f"{key}.{image.extension}", image.content),
                (f"{key}.{LABEL_EXTENSION}", label),
            ):
                header = _header(name, len(content))
                members.append(Member(name, position + len(header), len(content)))
                filled = content + b"\0" * (-len(content) % BLOCK)
                for part in (header, filled):
                    file.write(part)
                    state.update(part)
                position += len(header) + len(filled)
            if progress is not None:
                progress(index + 1, len(source))
        end = b"\0" * (2 * BLOCK + -(position + 2 * BLOCK) % RECORD)
        file.write(end)
        state.update(end)

    write_atomic(path, write)
    stamp, digest = stamp_of(str(path)), state.hexdigest()
    write_bytes(Path(f"{path}{INDEX_SUFFIX}"), index_content(stamp, members, digest))
    return ShardRecord(path.name, len(indices), stamp.size, digest)


def _header(name: str, size: int) -> bytes:
    """Long and foreign names get an extended header; nothing tells who wrote it, or when."""
    if size > MAX_MEMBER_BYTES:
        raise InputError(f"{name} has {size:,} bytes; a member of a shard has at most 4 GiB")
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, 0
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _image(source: SegmentationDataset, index: int) -> _Picture:
    if isinstance(source, ShardDataset):
        return _Picture(source.image_extension(index), source.image_bytes(index))
    path = source.image_path(index)
    if path is None:
        return _Picture("png", _lossless(source.image(index), source.name(index)))
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        known = ", ".join(sorted(IMAGE_SUFFIXES))
        raise InputError(f"{path}: the end of the name says the format in a shard; use {known}")
    try:
        return _Picture(path.suffix.lower()[1:], path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def _lossless(image: Pixels, name: str) -> bytes:
    if image.dtype != np.uint8 or image.shape[2] != 3:
        raise InputError(
            f"{name} is drawn in {image.shape[2]} bands of {image.dtype}; PNG takes RGB"
        )
    return _png(Image.fromarray(image))


def _label_png(source: SegmentationDataset, index: int) -> bytes:
    picture = Image.fromarray(np.ascontiguousarray(source.label_map(index)))
    palette: NDArray[np.uint8] = np.zeros((256, 3), np.uint8)
    palette[: source.labels.num_classes] = source.labels.palette
    picture.putpalette(palette.tobytes())
    return _png(picture)


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()
