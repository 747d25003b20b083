"""Mapillary Vistas, v1.2 (66 labels) and v2.0 (124): classes, colours and what counts stand in its
own configuration file.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from dualseg.core.errors import InputError
from dualseg.core.labels import IGNORE_INDEX, LabelSpec
from dualseg.data.dataset import FileDataset, Pair, RawValues, read_label_file
from dualseg.data.datasets.layout import Layout

MAPILLARY_LAYOUT = Layout(
    title="Mapillary Vistas",
    homes=(".", "mapillary", "mapillary_vistas"),
    tree="{training,validation}/images/*.jpg, {training,validation}/v1.2/labels/*.png (or v2.0/; "
    "labels/ without it in older downloads) and config_v1.2.json (config_v2.0.json; config.json)",
    origin="https://www.mapillary.com/dataset/vistas after registration",
)
FOLDERS = {"train": "training", "val": "validation"}
VERSIONS = ("v1.2", "v2.0")
MAX_CONFIG_BYTES = 10_000_000


def open_mapillary(root: Path, split: str, *, version: str = "v1.2") -> FileDataset:
    """One split: 18 000 train, 2000 val.

    Labels that the configuration does not evaluate are ignored: "Unlabeled", and in v2.0 a few
    more. Where there is no `labels/`, the 16-bit `instances/` are read, whose high byte is the
    label.

    Args:
        root: Holds `training/` and the configuration, or its parent.
        split: train or val.
        version: v1.2 or v2.0.

    Raises:
        InputError: The layout or the configuration is another one, or an image has no label.

    Source: Neuhold et al. 2017, "The Mapillary Vistas Dataset for Semantic Understanding of Street
        Scenes".
    """
    MAPILLARY_LAYOUT.require_split(
        split, tuple(FOLDERS), refused={"test": "its labels are not public"}
    )
    folder = FOLDERS[split]
    config, below = _config(root, version)
    images = MAPILLARY_LAYOUT.find_any(root, f"{folder}/images")
    wanted = [f"{folder}/{below}{kind}" for kind in ("labels", "instances")]
    labels = MAPILLARY_LAYOUT.find_any(root, *wanted)
    pairs = MAPILLARY_LAYOUT.require_files(
        [Pair(i.stem, i, labels / f"{i.stem}.png") for i in sorted(images.glob("*.jpg"))],
        named_by=images,
    )
    read = _read_instances if labels.name == "instances" else read_label_file
    return FileDataset(pairs, read_config(config), split, read_values=read)


def read_config(path: Path) -> LabelSpec:
    """Classes of a Vistas configuration; a label's place in the list is its value in the files.

    Raises:
        InputError: It cannot be read, or is no such configuration.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise InputError(f"{path} is larger than {MAX_CONFIG_BYTES} bytes; that is none of it")
        labels = json.loads(path.read_text(encoding="utf-8"))["labels"]
        counted = [number for number, label in enumerate(labels) if label["evaluate"]]
        readable = [str(labels[number]["readable"]) for number in counted]
        full = [str(labels[number]["name"]) for number in counted]
        palette = [_color(labels[number]["color"]) for number in counted]
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} is no configuration of Mapillary Vistas ({type(error).__name__}: {error}); "
            "restore it from the download"
        ) from None
    values = dict.fromkeys(range(len(labels)), IGNORE_INDEX)
    values |= {number: class_id for class_id, number in enumerate(counted)}
    names = readable if len(set(readable)) == len(readable) else full
    return LabelSpec(tuple(names), tuple(palette), values)


def _config(root: Path, version: str) -> tuple[Path, str]:
    """The configuration, and the folder of the version below a split's folder."""
    if version not in VERSIONS:
        raise InputError(f"Mapillary Vistas has no version {version}; use {' or '.join(VERSIONS)}")
    wanted = [f"config_{version}.json"]
    if version == "v1.2":
        wanted.append("config.json")
    config = MAPILLARY_LAYOUT.find_any(root, *wanted)
    return config, "" if config.name == "config.json" else f"{version}/"


def _color(given: Any) -> tuple[int, int, int]:
    red, green, blue = (int(channel) for channel in given)
    return red, green, blue


def _read_instances(pair: Pair) -> RawValues:
    """Label values of a 16-bit instance file."""
    return (read_label_file(pair) // 256).astype(np.uint8)
