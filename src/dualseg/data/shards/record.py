"""`dataset.yaml` beside shards: classes, how images are read, and the shards of each split."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dualseg.config import dump_yaml, parse_yaml
from dualseg.core.errors import InputError
from dualseg.core.files import write_text
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import IGNORE_INDEX, LabelSpec, voc_palette
from dualseg.data.datasets.dataset_yaml import DECLARATION_FILE, Declaration, read_declaration
from dualseg.data.shards.reading import read_small
from dualseg.data.shards.urls import beside, is_url, shown

SHARDS_KEY = "shards"
FORMAT = 1
MOST_BYTES = 16_000_000
FIELDS = ("name", "images", "bytes", "sha256")


class ShardRecord(NamedTuple):
    """A shard as `dataset.yaml` lists it."""

    name: str
    images: int
    num_bytes: int
    sha256: str


class FolderRecord(NamedTuple):
    """What stands beside shards.

    Attributes:
        labels: Classes; None where nobody says what each label value means.
        images: Bands and values of the images.
        splits: Split -> its shards, where `write_shards` has written them; else empty.
        declared: What a person says of the classes, where `labels` is None.
    """

    labels: LabelSpec | None
    images: ImageSpec
    splits: Mapping[str, tuple[ShardRecord, ...]]
    declared: Declaration = Declaration()


def read_record(folder: str) -> FolderRecord:
    """The `dataset.yaml` of a folder of shards, here or elsewhere.

    One that a person wrote, for shards of other tools, has the keys of a folder's: class_names,
    palette, values, ignore_index, channels, max_value. Without values, what the labels mean is left
    to their inference.

    Raises:
        InputError: It has faults.
    """
    place = beside(folder, DECLARATION_FILE)
    content = read_small(place, MOST_BYTES)
    if content is None:
        return FolderRecord(None, ImageSpec(), {})
    text = content.decode("utf-8", "replace")
    given = parse_yaml(text, origin=shown(place))
    if isinstance(given, dict) and SHARDS_KEY in given:
        return _ours(given, shown(place))
    return _theirs(folder, text)


def write_record(folder: Path, record: FolderRecord) -> None:
    """Writes `dataset.yaml`, whole or not at all."""
    assert record.labels is not None
    names = {to: raw for raw, to in record.labels.values.items()}
    assert record.labels.values == {to: to for to in names}, "shards hold class ids"
    images = {} if record.images == ImageSpec() else record.images.to_dict()
    plain = {
        "class_names": list(record.labels.class_names),
        "palette": [list(color) for color in record.labels.palette],
        "ignore_index": record.labels.ignore_index,
        **{key: value for key, value in images.items() if value is not None},
        SHARDS_KEY: {
            "format": FORMAT,
            "splits": {
                split: [dict(zip(FIELDS, shard, strict=True)) for shard in shards]
                for split, shards in record.splits.items()
            },
        },
    }
    text = dump_yaml(plain, short_lists_in_line=True)
    write_text(folder / DECLARATION_FILE, text)


def has_shard_record(folder: Path) -> bool:
    """Whether `write_shards` has written into a folder; nothing is said of whether it is whole."""
    path = folder / DECLARATION_FILE
    try:
        return path.is_file() and f"\n{SHARDS_KEY}:" in "\n" + path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _ours(given: dict[str, Any], origin: str) -> FolderRecord:
    try:
        listed = given[SHARDS_KEY]
        if listed["format"] != FORMAT:
            raise InputError(
                f"{origin} lists shards in format {listed['format']}; this version reads {FORMAT}"
            )
        splits = {str(split): _shards(rows) for split, rows in listed["splits"].items()}
        labels = LabelSpec.from_dict({**given, "values": {}})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{origin} does not list shards as it should ({reason})") from None
    return FolderRecord(labels, ImageSpec.from_dict(given), splits)


def _shards(rows: Any) -> tuple[ShardRecord, ...]:
    shards = tuple(
        ShardRecord(str(row["name"]), int(row["images"]), int(row["bytes"]), str(row["sha256"]))
        for row in rows
    )
    wrong = [shard.name for shard in shards if Path(shard.name).name != shard.name]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no name of a file beside it")
    return shards


def _theirs(folder: str, text: str) -> FolderRecord:
    with tempfile.TemporaryDirectory() as copy:
        if is_url(folder):
            Path(copy, DECLARATION_FILE).write_text(text, encoding="utf-8")
        declared = read_declaration(Path(copy if is_url(folder) else folder))
    if declared.colors is not None:
        raise InputError(
            f"{shown(folder)}/{DECLARATION_FILE} has colors; labels in shards are class ids, one "
            "number a pixel. Save them so, or unpack the shards into a folder"
        )
    if declared.snap:
        raise InputError(
            f"{shown(folder)}/{DECLARATION_FILE} has snap; labels in shards are read as they are. "
            "Save them as PNG from what they were made of, or unpack the shards into a folder"
        )
    if declared.values is None:
        return FolderRecord(None, declared.images, {}, declared)
    ids = {to for to in declared.values.values() if to != IGNORE_INDEX}
    names = declared.class_names or tuple(f"class_{number}" for number in range(max(ids) + 1))
    labels = LabelSpec(names, declared.palette or voc_palette(len(names)), declared.values)
    return FolderRecord(labels, declared.images, {})
