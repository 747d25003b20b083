"""A split in shards as a data set: every sample by its number, read by position."""

from collections.abc import Sequence
from copy import copy
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec, Pixels
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import PLAIN, RawValues, map_values
from dualseg.data.pictures.bands import read_pixels
from dualseg.data.pictures.images import (
    PictureFacts,
    inspect_image,
    read_label_values,
    read_orientation,
)
from dualseg.data.shards.cache import ShardCache
from dualseg.data.shards.member_file import as_file
from dualseg.data.shards.members import BLOCK, header_fits
from dualseg.data.shards.reading import Stamp, read_range
from dualseg.data.shards.samples import (
    IMAGE_KIND,
    IMAGE_SIZE,
    IMAGE_START,
    LABEL_SIZE,
    LABEL_START,
    SHARD,
    Samples,
)
from dualseg.data.shards.urls import INDEX_SUFFIX, is_url, name_of, shown


class ShardDataset:
    """Samples in tar files, each read when it is asked for, by its place in the index.

    Nothing is open between two reads, so it may be pickled and used in forked and in new processes.
    Every read looks at the member's header too: a shard that was changed under an old index is
    refused, not misread.

    Args:
        shards: Paths and URLs.
        stamps: Size and mark of each.
        samples: Where images and labels are.
        labels: Classes, and what each raw value means.
        split: Its name.
        images: Bands and values of the images.
        hashes: SHA-256 of each shard, where known; for the cache.
        cache: Keeps whole shards of servers on disk; None: only what is asked for is read.

    Attributes:
        label_notes: What was inferred of the classes, one line each.
    """

    def __init__(
        self,
        shards: Sequence[str],
        stamps: Sequence[Stamp],
        samples: Samples,
        labels: LabelSpec,
        split: str,
        *,
        images: ImageSpec = PLAIN,
        hashes: Sequence[str | None] = (),
        cache: ShardCache | None = None,
    ):
        self.shards = tuple(shards)
        self.stamps = tuple(stamps)
        self.samples = samples
        self.labels = labels
        self.split = split
        self.images = images
        self.hashes = tuple(hashes) or (None,) * len(self.shards)
        self.cache = cache
        self.label_notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples.names)

    def name(self, index: int) -> str:
        return self.samples.names[index]

    def image_path(self, index: int) -> Path | None:
        return None

    def label_path(self, index: int) -> Path | None:
        return None

    def image(self, index: int) -> Pixels:
        with as_file(self.image_bytes(index), self.image_origin(index)) as path:
            return read_pixels(path, self.images)

    def raw_values(self, index: int) -> RawValues:
        """(H, W) values as they stand in the label, before `labels` gives them a meaning."""
        with as_file(self.label_bytes(index), self.label_origin(index)) as path:
            return read_label_values(path, max_pixels=self.images.max_pixels)

    def label_map(self, index: int) -> NDArray[np.uint8]:
        return map_values(self.raw_values(index), self.labels, Path(self.label_origin(index)))

    def image_bytes(self, index: int) -> bytes:
        """The image file, as it was put into the shard."""
        return self._read(index, IMAGE_START, IMAGE_SIZE, self.image_origin(index))

    def label_bytes(self, index: int) -> bytes:
        """The label file."""
        return self._read(index, LABEL_START, LABEL_SIZE, self.label_origin(index))

    def image_extension(self, index: int) -> str:
        """For example jpg."""
        return self.samples.extensions[self.samples.places[index, IMAGE_KIND]]

    def image_origin(self, index: int) -> str:
        """Shard and member, for messages."""
        return f"{self._shard_name(index)}/{self.name(index)}.{self.image_extension(index)}"

    def label_origin(self, index: int) -> str:
        """Shard and member, for messages."""
        return f"{self._shard_name(index)}/{self.name(index)}.{self.samples.label_extension}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was inferred, and what of the shards is not used; one line each."""
        return (*self.label_notes, *self.samples.notes)

    def shard(self, index: int) -> str:
        """Path or URL of the shard that holds a sample."""
        return self.shards[self.samples.places[index, SHARD]]

    def inspect(self, index: int) -> PictureFacts:
        """Size and kind of an image, decoded to find damage; see `inspect_image`."""
        with as_file(self.image_bytes(index), self.image_origin(index)) as path:
            return inspect_image(path, self.images)

    def label_orientation(self, index: int) -> int:
        """EXIF's of a label; see `read_orientation`."""
        with as_file(self.label_bytes(index), self.label_origin(index)) as path:
            return read_orientation(path, max_pixels=self.images.max_pixels)

    def reading(self, images: ImageSpec) -> "ShardDataset":
        """The same samples with their images read in another way."""
        other = copy(self)
        other.images = images
        return other

    def member_facts(self, index: int, kind: str) -> tuple[str, int, str, int]:
        """What changes when an image or a label does: its shard, with size and mark, and its place.

        Args:
            index: Of the sample.
            kind: "image" or "label".
        """
        row = self.samples.places[index]
        number, column = int(row[SHARD]), IMAGE_START if kind == "image" else LABEL_START
        stamp = self.stamps[number]
        return self.shards[number], stamp.size, stamp.version, int(row[column])

    def _shard_name(self, index: int) -> str:
        shard = self.shard(index)
        return name_of(shard) if is_url(shard) else shard

    def _read(self, index: int, start_column: int, size_column: int, origin: str) -> bytes:
        row = self.samples.places[index]
        number, start, size = int(row[SHARD]), int(row[start_column]), int(row[size_column])
        data = self._bytes(number, start - BLOCK, size + BLOCK)
        if not header_fits(data[:BLOCK], size):
            shard = self.shards[number]
            raise InputError(
                f"{origin} is not where the index says: {shown(shard)} was changed. Start again; "
                f"if that does not help, remove {shown(shard)}{INDEX_SUFFIX}"
            )
        return data[BLOCK:]

    def _bytes(self, number: int, start: int, count: int) -> bytes:
        shard = self.shards[number]
        if self.cache is None or not is_url(shard):
            try:
                return read_range(shard, start, count)
            except FileNotFoundError:
                raise InputError(f"there is no shard {shard} any more; restore it") from None
        copy = self.cache.fetch(shard, self.stamps[number], self.hashes[number])
        try:
            return read_range(str(copy), start, count)
        except FileNotFoundError:  # another process made room just now
            copy = self.cache.fetch(shard, self.stamps[number], self.hashes[number])
            return read_range(str(copy), start, count)
