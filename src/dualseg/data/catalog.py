"""Every data set by name: a literal table, no registration."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from dualseg.config import DataSettings
from dualseg.core.errors import InputError, nearest
from dualseg.core.image_spec import FIELDS
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import SegmentationDataset, images_of, with_images
from dualseg.data.datasets.ade20k import open_ade20k
from dualseg.data.datasets.camvid import open_camvid
from dualseg.data.datasets.camvid32 import open_camvid32
from dualseg.data.datasets.cityscapes import open_cityscapes
from dualseg.data.datasets.coco import open_coco, open_coco_things
from dualseg.data.datasets.coco_stuff import open_coco_stuff
from dualseg.data.datasets.folder import describe_folder
from dualseg.data.datasets.inria import open_inria
from dualseg.data.datasets.mapillary import open_mapillary
from dualseg.data.datasets.pascal_context import open_pascal_context
from dualseg.data.datasets.sbd import open_sbd
from dualseg.data.datasets.streets import Streets
from dualseg.data.datasets.voc import open_voc
from dualseg.data.datasets.voc_aug import open_voc_aug
from dualseg.data.loading.cache import cached
from dualseg.data.shards.source import are_shards, describe_shards

SHARDS = "shards"
TEST = "test"
GENERATED = ("streets",)  # data sets without a folder

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Splits:
    """Both splits of a run, and what a person should know about them.

    Args:
        train, val: The data.
        notes: One line each: what was inferred.
        test: Only where it was asked for and is there.
    """

    train: SegmentationDataset
    val: SegmentationDataset
    notes: tuple[str, ...] = ()
    test: SegmentationDataset | None = None


class _Source(NamedTuple):
    """A data set before a split is chosen: what is inferred is the same for all of them.

    `names` are the splits of a user's own data; of a published one they are not listed.
    """

    open: Callable[[str], SegmentationDataset]
    notes: tuple[str, ...] = ()
    names: Collection[str] = ()


def list_datasets() -> list[str]:
    """Names that `open_dataset` takes."""
    return ["folder", *GENERATED, SHARDS, *_OFFICIAL]


def kind_of_folder(name: str) -> str:
    """The kind of data a folder is read as where `name` stood before: generated data has none."""
    return "folder" if name in (*GENERATED, SHARDS) else name


def open_dataset(
    name: str,
    *,
    root: str | Path | None = None,
    split: str,
    labels: LabelSpec | None = None,
    max_pixels: int | None = None,
    allow_missing: bool = False,
) -> SegmentationDataset:
    """Opens one split.

    Args:
        name: One of `list_datasets()`.
        root: Its folder; not for generated data. For shards also their pattern or URL.
        split: For example train or val.
        labels: A network's classes: what label values mean in a folder that does not say it
            itself, see `describe_folder`.
        max_pixels: Of a folder's images and masks, where not what its dataset.yaml says.
        allow_missing: Leave out a folder's images and masks without a partner.

    Raises:
        InputError: Unknown name, no folder, or a layout that does not fit.
    """
    return _source(name, root, labels, max_pixels, allow_missing).open(split)


def open_splits(
    settings: DataSettings, *, test: bool = False, progress: Progress | None = None
) -> Splits:
    """Both splits of a recipe, cached where they fit into memory.

    Args:
        settings: Which data.
        test: Whether the test split of a folder or of shards is opened too, where there is one.
        progress: Called with (done, total) while masks or shards are looked at for the first time.

    Raises:
        InputError: As `open_dataset`.
    """
    chosen = settings.train_split, settings.val_split
    source = _source(
        settings.name,
        settings.root,
        None,
        settings.max_pixels,
        settings.allow_missing,
        progress,
        chosen,
    )
    names = [*chosen, *([TEST] if test and TEST in source.names else [])]
    opened = [_as_declared(source.open(split), settings) for split in names]
    found = dict.fromkeys(note for split in opened for note in getattr(split, "notes", ()))
    folder = None if settings.cache_dir is None else Path(settings.cache_dir)
    train, val = cached(opened[:2], settings.cache, folder)
    return Splits(train, val, (*source.notes, *found), *opened[2:])


def _as_declared(dataset: SegmentationDataset, settings: DataSettings) -> SegmentationDataset:
    """With its images read as the recipe says, where that says anything."""
    images = images_of(dataset).changed(settings.model_dump(include=set(FIELDS)))
    return with_images(dataset, images)


def _source(
    name: str,
    root: str | Path | None,
    labels: LabelSpec | None,
    max_pixels: int | None,
    allow_missing: bool,
    progress: Progress | None = None,
    splits: Sequence[str] = (),
) -> _Source:
    """`splits` are those that will be opened, where they are known."""
    if name not in list_datasets():
        raise InputError(f"there is no data set {name!r}; {nearest(name, list_datasets())}")
    if allow_missing and (name != "folder" or are_shards(str(root))):
        raise InputError(
            f"allow_missing is for a folder of images and masks, and {name} is none; leave it out"
        )
    if name == SHARDS:
        return _shards(root, labels, progress, splits)
    if root is not None and not Path(root).is_dir():
        raise InputError(f"data.root {root} is no folder ({name} is looked for there)")
    place = None if root is None else Path(root)
    if name == "folder":
        return _folder(place, labels, max_pixels, allow_missing, progress, splits)
    if name == "streets":
        return _streets(place)
    if place is None:
        raise InputError(
            f"{name} needs a folder: --set data.name={name} --data DIR, or data.name and data.root "
            "in the recipe"
        )
    return _Source(partial(_OFFICIAL[name], place))


def _folder(
    root: Path | None,
    labels: LabelSpec | None,
    max_pixels: int | None,
    allow_missing: bool,
    progress: Progress | None,
    splits: Sequence[str],
) -> _Source:
    if root is None:
        raise InputError(
            "folder needs a folder with images and masks: --data DIR, or data.root in the recipe"
        )
    if are_shards(str(root)):
        return _shards(root, labels, progress, splits)
    description = describe_folder(
        root, labels, max_pixels=max_pixels, allow_missing=allow_missing, progress=progress
    )
    return _Source(description.open, description.notes, description.splits)


def _shards(
    root: str | Path | None,
    labels: LabelSpec | None,
    progress: Progress | None,
    splits: Sequence[str],
) -> _Source:
    if root is None:
        raise InputError(
            "shards needs to know where they are: --data DIR, --data 'DIR/train-{000..127}.tar' or "
            "a URL, or data.root in the recipe"
        )
    found = describe_shards(str(root), labels, splits=splits)
    return _Source(partial(found.open, progress=progress), found.notes, found.shards)


def _streets(root: Path | None) -> _Source:
    if root is not None:
        raise InputError(f"streets is drawn on the fly and has no folder; leave out {root}")
    return _Source(Streets)


# Published data sets, whose labels mean the same everywhere: (folder, split) -> one split.
_OFFICIAL: dict[str, Callable[[Path, str], SegmentationDataset]] = {
    "ade20k": open_ade20k,
    "camvid": open_camvid,
    "camvid32": open_camvid32,
    "camvid32_grouped": partial(open_camvid32, grouped=True),
    "cityscapes": open_cityscapes,
    "coco": open_coco,
    "coco_stuff": open_coco_stuff,
    "coco_things": open_coco_things,
    "inria": open_inria,
    "mapillary": open_mapillary,
    "mapillary_v2": partial(open_mapillary, version="v2.0"),
    "pascal_context": open_pascal_context,
    "pascal_context60": partial(open_pascal_context, background=True),
    "sbd": open_sbd,
    "voc": open_voc,
    "voc_aug": open_voc_aug,
}
