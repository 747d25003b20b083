"""Every data set by name: a literal table, no registration."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dualseg.config import DataSettings
from dualseg.core.errors import InputError, nearest
from dualseg.data.cache import cached
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.datasets.camvid import open_camvid
from dualseg.data.datasets.streets import Streets


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


def list_datasets() -> list[str]:
    """Names that `open_dataset` takes."""
    return list(_OPENERS)


def open_dataset(name: str, *, root: str | Path | None = None, split: str) -> SegmentationDataset:
    """Opens one split.

    Args:
        name: One of `list_datasets()`.
        root: Its folder; not for generated data.
        split: For example train or val.

    Raises:
        InputError: Unknown name, no folder, or a layout that does not fit.
    """
    if name not in _OPENERS:
        raise InputError(f"there is no data set {name!r}; {nearest(name, list_datasets())}")
    return _OPENERS[name](_folder(name, root), split)


def open_splits(settings: DataSettings) -> Splits:
    """Both splits of a recipe, cached where they fit into memory."""
    train = open_dataset(settings.name, root=settings.root, split=settings.train_split)
    val = open_dataset(settings.name, root=settings.root, split=settings.val_split)
    return Splits(cached(train, settings.cache), cached(val, settings.cache))


def _camvid(root: Path | None, split: str) -> SegmentationDataset:
    if root is None:
        raise InputError("camvid needs a folder: --data DIR, or data.root in the recipe")
    return open_camvid(root, split)


def _streets(root: Path | None, split: str) -> SegmentationDataset:
    if root is not None:
        raise InputError(f"streets is drawn on the fly and has no folder; leave out {root}")
    return Streets(split)


def _folder(name: str, root: str | Path | None) -> Path | None:
    if root is None:
        return None
    if not Path(root).is_dir():
        raise InputError(f"data.root {root} is no folder ({name} is looked for there)")
    return Path(root)


_OPENERS: dict[str, Callable[[Path | None, str], SegmentationDataset]] = {
    "camvid": _camvid,
    "streets": _streets,
}
