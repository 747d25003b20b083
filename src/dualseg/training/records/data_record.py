"""`dataset.yaml`: the images and classes of a run, so that a resume can tell they are the same.

Copied into the folder of images and masks, it makes that folder mean the same again, and may be
edited there.
"""

import hashlib
from pathlib import Path
from typing import Any

from dualseg.config import DataSettings, read_yaml
from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.data.catalog import Splits
from dualseg.data.dataset import FileDataset, SegmentationDataset, images_of
from dualseg.data.labels.smeared_labels import ColorReader, GrayReader
from dualseg.data.loading.cache import CachedDataset
from dualseg.training.records.run_folder import DATASET_FILE, write_yaml

MEANING = ("values", "colors", "snap", "channels", "min_value", "max_value")  # if recorded


def write_data_record(run_folder: Path, settings: DataSettings, splits: Splits) -> None:
    """Writes names, classes, palette, what values or colours mean, and what was inferred."""
    record = {
        "name": settings.name,
        "root": settings.root,
        **_describe(splits),
        **splits.train.labels.to_dict(),
        **_declared(splits.train),
        "notes": list(splits.notes),
    }
    write_yaml(run_folder / DATASET_FILE, record)


def require_same_data(run_folder: Path, splits: Splits) -> None:
    """Refuses to go on with other images than the run began with.

    A record says of images what is unusual. What of labels the record of an older version does not
    hold is not compared.

    Raises:
        InputError: The names or the number of images differ, or the classes, what values or colours
            mean, or which bands are read.
    """
    path = run_folder / DATASET_FILE
    if not path.is_file():
        return
    usual = ImageSpec().to_dict()
    before = usual | read_yaml(path)
    now = usual | _describe(splits) | splits.train.labels.to_dict() | _declared(splits.train)
    changed = [
        f"{key}: {before.get(key)} -> {now.get(key)}"
        for key in ("train", "val", "class_names", *(key for key in MEANING if key in before))
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise InputError(
            f"the data set is not the one {run_folder} was trained on; restore it, or train anew:",
            changed,
        )


def _describe(splits: Splits) -> dict[str, Any]:
    return {"train": _fingerprint(splits.train), "val": _fingerprint(splits.val)}


def _declared(dataset: SegmentationDataset) -> dict[str, Any]:
    """What a folder must declare besides its classes: colours, bands, the range of values."""
    source = dataset.dataset if isinstance(dataset, CachedDataset) else dataset
    spec = images_of(source).to_dict()
    images = {key: value for key, value in spec.items() if value != ImageSpec().to_dict()[key]}
    reader = source.read_values if isinstance(source, FileDataset) else None
    if isinstance(reader, (ColorReader, GrayReader)):
        return {**reader.declared(source.labels), **images}
    return images


def _fingerprint(dataset: SegmentationDataset) -> dict[str, Any]:
    digest = hashlib.sha256()
    for index in range(len(dataset)):
        digest.update(dataset.name(index).encode("utf-8", "surrogateescape") + b"\n")
    return {"images": len(dataset), "names_sha256": digest.hexdigest()[:16]}
