"""Every data set by name: a literal table, no registration."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from dualseg.config import DataSettings
from dualseg.core.errors import InputError, nearest
from dualseg.core.labels import LabelSpec
from dualseg.data.cache import cached
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.datasets.ade20k import open_ade20k
from dualseg.data.datasets.camvid import has_camvid_layout, open_camvid
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

GENERATED = ("streets",)  # data sets without a folder


@dataclass(frozen=True)
class Splits:
    """Both splits of a run, and what a person should know about them.

    Args:
        train, val: The data.
        notes: One line each: what was inferred.
    """

    train: SegmentationDataset
    val: SegmentationDataset
    notes: tuple[str, ...] = ()


class _Source(NamedTuple):
    """A data set before a split is chosen: what is inferred is the same for all of them."""

    open: Callable[[str], SegmentationDataset]
    notes: tuple[str, ...] = ()


def list_datasets() -> list[str]:
    """Names that `open_dataset` takes."""
    return [*_SOURCES, *_OFFICIAL]


def kind_of_folder(name: str) -> str:
    """The kind of data a folder is read as where `name` stood before: generated data has none."""
    return "folder" if name in GENERATED else name


def open_dataset(
    name: str, *, root: str | Path | None = None, split: str, labels: LabelSpec | None = None
) -> SegmentationDataset:
    """Opens one split.

    Args:
        name: One of `list_datasets()`.
        root: Its folder; not for generated data.
        split: For example train or val.
        labels: A network's classes: what label values mean in a folder that does not say it
            itself, see `describe_folder`.

    Raises:
        InputError: Unknown name, no folder, or a layout that does not fit.
    """
    return _source(name, root, labels).open(split)


def open_splits(settings: DataSettings) -> Splits:
    """Both splits of a recipe, cached where they fit into memory."""
    source = _source(settings.name, settings.root)
    both = source.open(settings.train_split), source.open(settings.val_split)
    folder = None if settings.cache_dir is None else Path(settings.cache_dir)
    train, val = cached(both, settings.cache, folder)
    return Splits(train, val, source.notes)


def _source(name: str, root: str | Path | None, labels: LabelSpec | None = None) -> _Source:
    if name not in list_datasets():
        raise InputError(f"there is no data set {name!r}; {nearest(name, list_datasets())}")
    if root is not None and not Path(root).is_dir():
        raise InputError(f"data.root {root} is no folder ({name} is looked for there)")
    place = None if root is None else Path(root)
    if name in _SOURCES:
        return _SOURCES[name](place, labels)
    if place is None:
        raise InputError(
            f"{name} needs a folder: --set data.name={name} --data DIR, or data.name and data.root "
            "in the recipe"
        )
    return _Source(partial(_OFFICIAL[name], place))


def _folder(root: Path | None, labels: LabelSpec | None) -> _Source:
    if root is None:
        raise InputError(
            "folder needs a folder with images and masks: --data DIR, or data.root in the recipe"
        )
    if has_camvid_layout(root):
        return _Source(
            partial(open_camvid, root),
            (f"layout: {root} has CamVid's (train.txt, trainannot/), so it is read as camvid",),
        )
    description = describe_folder(root, labels)
    return _Source(description.open, description.notes)


def _streets(root: Path | None, _labels: LabelSpec | None) -> _Source:
    if root is not None:
        raise InputError(f"streets is drawn on the fly and has no folder; leave out {root}")
    return _Source(Streets)


_SOURCES: dict[str, Callable[[Path | None, LabelSpec | None], _Source]] = {
    "folder": _folder,
    "streets": _streets,
}
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
