"""What every format is given of an image: its label map, a name that fits, and the image file."""

import errno
import io
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dualseg.core.errors import InputError, first_few
from dualseg.core.files import write_bytes
from dualseg.core.geometry import Size
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import SegmentationDataset, images_of
from dualseg.data.datasets.folder_names import alike
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.pictures.images import IMAGE_SUFFIXES, read_size
from dualseg.data.pictures.picture_files import layout_of, opened
from dualseg.data.shards.reader import ShardDataset

SUFFIX_OF = {  # Pillow calls some JPEGs of cameras MPO
    "BMP": ".bmp",
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "TIFF": ".tif",
    "WEBP": ".webp",
}


@dataclass(frozen=True)
class Sample:
    """An image with its label, ready to be written.

    Args:
        split: Its split.
        stem: Name of its files, unique in the split.
        image: The image file below the new folder, with `/`.
        label_map: (H, W) class ids, or the ignored one.
        labels: Classes.
    """

    split: str
    stem: str
    image: str
    label_map: NDArray[np.uint8]
    labels: LabelSpec

    @property
    def size(self) -> Size:
        """(height, width)."""
        return self.label_map.shape[0], self.label_map.shape[1]

    def without_pixels(self) -> "Sample":
        """To be kept until all are written."""
        return replace(self, label_map=self.label_map[:0])

    @property
    def ignored_pixels(self) -> int:
        """Pixels of no class."""
        return int(np.count_nonzero(self.label_map == self.labels.ignore_index))


@dataclass(frozen=True)
class Planned:
    """An image of a data set and the name it will have."""

    dataset: SegmentationDataset
    index: int
    stem: str


def plan_samples(
    datasets: Sequence[SegmentationDataset], *, one_folder: bool, no_blanks: bool
) -> list[Planned]:
    """Every image of every split with the name of its new files.

    Folders in a name become `__`. Where splits share a folder and names stand in several of them,
    all begin with their split.

    Args:
        datasets: One for each split.
        one_folder: Whether the format keeps all splits in one folder.
        no_blanks: Whether blanks in names become `_`.

    Raises:
        InputError: Two images would have the same name, upper and lower case taken for the same.
    """
    plans = [
        Planned(source, index, _stem(source.name(index), no_blanks))
        for source in map(_uncached, datasets)
        for index in range(len(source))
    ]
    groups = [[plan for plan in plans if plan.dataset.split == d.split] for d in datasets]
    if one_folder and alike([plan.stem for plan in plans]):
        plans = [
            Planned(plan.dataset, plan.index, f"{plan.dataset.split}_{plan.stem}") for plan in plans
        ]
        groups = [plans]
    clashes = [clash for group in groups for clash in _clashes(group)]
    if clashes:
        raise InputError(
            f"{sum(map(len, clashes))} images would share their file names; rename them first:",
            first_few([_told(clash) for clash in clashes]),
        )
    return plans


def _clashes(plans: Sequence[Planned]) -> list[list[Planned]]:
    """Those whose files would have one name, together."""
    doubled = set(alike([plan.stem for plan in plans]))
    groups: dict[str, list[Planned]] = {}
    for plan in plans:
        if plan.stem in doubled:
            groups.setdefault(plan.stem.casefold(), []).append(plan)
    return list(groups.values())


def _told(clash: Sequence[Planned]) -> str:
    """`train/a b and train/a_b as a_b`, with the names that they have now."""
    names = [f"{plan.dataset.split}/{plan.dataset.name(plan.index)}" for plan in clash]
    return f"{' and '.join(first_few(names, 3))} as {clash[0].stem}"


def load_sample(plan: Planned, image: str) -> Sample:
    """Reads a label.

    Args:
        plan: Which one.
        image: Where the image file will lie; see `Sample`.

    Raises:
        InputError: The label cannot be read, has faults, or is not of the image's size.
    """
    source, index = plan.dataset, plan.index
    label_map = source.label_map(index)
    path = source.image_path(index)
    if path is not None:
        size = read_size(path, images_of(source))
        if size != label_map.shape:
            raise InputError(
                f"{path} is {size[0]}x{size[1]} (height x width), its label {label_map.shape[0]}x"
                f"{label_map.shape[1]}; make them equal"
            )
    return Sample(source.split, plan.stem, image, label_map, source.labels)


def image_suffix(plan: Planned) -> str:
    """Of the new image file: that of the old one, or .png for a drawn image.

    A list may name images of another suffix (a JPEG as `.jfif`); they get that of their format,
    since a folder is searched by suffix.

    Raises:
        InputError: Such an image cannot be read.
    """
    if isinstance(plan.dataset, ShardDataset):
        return f".{plan.dataset.image_extension(plan.index)}"
    path = plan.dataset.image_path(plan.index)
    if path is None:
        return ".png"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return path.suffix
    images = images_of(plan.dataset)
    if layout_of(path, images) is not None:
        return SUFFIX_OF["TIFF"]
    with opened(path, max_pixels=images.max_pixels) as image:
        return SUFFIX_OF[str(image.format)]


def place_image(plan: Planned, target: Path, *, copy: bool) -> None:
    """Puts the image where it belongs: a hard link or the same bytes; drawn images become PNG.

    Args:
        plan: Which one.
        target: The new file.
        copy: Copy also where a link would do.

    Raises:
        InputError: It cannot be read or written.
    """
    if isinstance(plan.dataset, ShardDataset):
        write_bytes(target, plan.dataset.image_bytes(plan.index))
        return
    path = plan.dataset.image_path(plan.index)
    if path is None:
        write_bytes(target, _png(plan))
        return
    source = path.resolve()
    if not copy:
        try:
            os.link(source, target)
            return
        except OSError:  # another disk, or one that has no links
            pass
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # that is not this image's fault: nothing more can be written
        raise InputError(f"cannot copy {path} to {target}: {error.strerror or error}") from error


def _uncached(dataset: SegmentationDataset) -> SegmentationDataset:
    return dataset.dataset if isinstance(dataset, CachedDataset) else dataset


def _stem(name: str, no_blanks: bool) -> str:
    flat = re.sub(r"[/\\]+", "__", name).lstrip(".") or "_"
    return re.sub(r"\s", "_", flat) if no_blanks else flat


def _png(plan: Planned) -> bytes:
    image = plan.dataset.image(plan.index)
    if image.dtype != np.uint8 or image.shape[2] != 3:
        raise InputError(f"{plan.stem} is drawn in {image.shape[2]} bands; PNG takes RGB")
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    return stream.getvalue()
