"""Which members of shards are images and labels, by WebDataset's naming: KEY.EXTENSION.

KEY is the name up to the first dot of its last part; members with one key are one sample. A label
has an extension such as `label.png` or `seg.png`, or is the `png` beside a `jpg`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError, first_few
from dualseg.data.pictures.images import IMAGE_SUFFIXES
from dualseg.data.shards.members import Member
from dualseg.data.shards.urls import name_of, shown

LABEL_EXTENSION = "label.png"
LABEL_WORDS = ("label", "labels", "mask", "seg", "segmentation", "semantic", "gt", "annotation")
IMAGE_WORDS = ("image", "img", "rgb", "input")
PICKLES = frozenset({"pyd", "pkl", "pickle", "pth", "pt"})
_KEPT = frozenset("-_ ()+,=@~#")
SHARD, IMAGE_START, IMAGE_SIZE, LABEL_START, LABEL_SIZE, IMAGE_KIND = range(6)


class Samples(NamedTuple):
    """Every sample of a split, in the order of its shards.

    Attributes:
        names: Unique.
        places: (N, 6) int64: shard, then start and size of image and label, then the number of the
            image's extension.
        extensions: Of images.
        label_extension: Of all labels.
        notes: What was passed over.
    """

    names: tuple[str, ...]
    places: NDArray[np.int64]
    extensions: tuple[str, ...]
    label_extension: str
    notes: tuple[str, ...]


def find_samples(
    shards: Sequence[str], contents: Sequence[Sequence[Member]], *, are_ours: bool
) -> Samples:
    """Pairs of image and label in the members of all shards of a split.

    Args:
        shards: Paths or URLs, for messages.
        contents: Members of each.
        are_ours: Written by `write_shards`: the label's extension is known, names are decoded.

    Raises:
        InputError: No sample is there, it is unclear which members are labels, or a sample has no
            image, no label, or several.
    """
    groups = [_grouped(members) for members in contents]
    found = Counter(
        extension for group in groups for fields in group.values() for extension in fields
    )
    label = LABEL_EXTENSION if are_ours else _label_extension(found, groups, shards)
    images = _image_extensions(found, label)
    used = [_pairs(group, images, label, shown(shards[n])) for n, group in enumerate(groups)]
    faults = [fault for _, wrong in used for fault in wrong]
    if faults:
        raise InputError(f"{len(faults)} samples of the shards are not whole:", first_few(faults))
    if not any(pairs for pairs, _ in used):
        raise InputError(f"{_shown_all(shards)}: no sample is in it; {_extensions(found)}")
    rows, names = [], []
    for number, (pairs, _) in enumerate(used):
        for key, extension, image, mask in pairs:
            names.append(decoded_key(key) if are_ours else key)
            kind = images.index(extension)
            rows.append((number, image.offset, image.size, mask.offset, mask.size, kind))
    places = np.array(rows, np.int64)
    if len(set(names)) < len(names):  # each shard counts from zero
        stems = [Path(name_of(shard)).stem for shard in shards]
        names = [f"{stems[row[0]]}/{name}" for row, name in zip(rows, names, strict=True)]
    if len(set(names)) < len(names):
        raise InputError(f"{_shown_all(shards)}: two shards of one name hold one key; rename one")
    return Samples(tuple(names), places, images, label, _notes(found, (*images, label)))


def encoded_key(name: str) -> str:
    """A key for any name, and another one for each: letters and digits stay, dots become `%2E`."""
    safe = _KEPT | {"/"} if all(name.split("/")) else _KEPT
    key = "".join(char if char.isalnum() or char in safe else _percent(char) for char in name)
    folder, slash, last = key.rpartition("/")
    return folder + slash + (f"%5F{last[1:]}" if last.startswith("__") else last) or "%"


def decoded_key(key: str) -> str:
    """The inverse of `encoded_key`."""
    if key == "%":
        return ""
    return unquote_to_bytes(key).decode("utf-8", "surrogateescape") if "%" in key else key


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape"))


def _grouped(members: Sequence[Member]) -> dict[str, dict[str, Member]]:
    """Key -> extension -> member; what has no extension or begins with a dot is no part of it."""
    groups: dict[str, dict[str, Member]] = {}
    for member in members:
        folder, slash, last = member.name.rpartition("/")
        stem, dot, extension = last.partition(".")
        if stem and dot and not stem.startswith("__"):
            groups.setdefault(f"{folder}{slash}{stem}", {})[extension.lower()] = member
    return groups


def _label_extension(
    found: Counter[str], groups: Sequence[Mapping[str, Mapping[str, Member]]], shards: Sequence[str]
) -> str:
    named = [extension for extension in found if _is_picture(extension, LABEL_WORDS)]
    if len(named) == 1:
        return named[0]
    if not named and "png" in found:
        together = [fields for group in groups for fields in group.values() if "png" in fields]
        others = _image_extensions(found, "png")
        if all(any(other in fields for other in others) for fields in together):
            return "png"
    raise InputError(
        f"{_shown_all(shards)}: it is unclear which members are the labels; {_extensions(found)}. "
        "Labels are KEY.label.png, KEY.mask.png or KEY.seg.png beside one image a KEY, or the "
        "only KEY.png beside KEY.jpg"
    )


def _image_extensions(found: Counter[str], label: str) -> tuple[str, ...]:
    return tuple(
        sorted(
            extension
            for extension in found
            if extension != label
            and (f".{extension}" in IMAGE_SUFFIXES or _is_picture(extension, IMAGE_WORDS))
        )
    )


def _is_picture(extension: str, words: tuple[str, ...]) -> bool:
    word, dot, kind = extension.rpartition(".")
    return bool(dot) and word in words and f".{kind}" in IMAGE_SUFFIXES


def _pairs(
    group: Mapping[str, Mapping[str, Member]], images: tuple[str, ...], label: str, origin: str
) -> tuple[list[tuple[str, str, Member, Member]], list[str]]:
    pairs, faults = [], []
    for key, fields in group.items():
        there = [extension for extension in images if extension in fields]
        if not there and label not in fields:
            continue  # a sample of other things
        if len(there) == 1 and label in fields:
            pairs.append((key, there[0], fields[there[0]], fields[label]))
        elif len(there) > 1:
            faults.append(f"{origin}: {key!r} has several images ({', '.join(there)})")
        else:
            missing = "no image" if label in fields else f"no label (.{label})"
            faults.append(f"{origin}: {key!r} has {missing}; its members: {', '.join(fields)}")
    return pairs, faults


def _notes(found: Counter[str], used: tuple[str, ...]) -> tuple[str, ...]:
    rest = {name: count for name, count in found.items() if name not in used}
    pickled = {name for name in rest if name.rpartition(".")[2] in PICKLES}
    notes = []
    if set(rest) - pickled:
        notes.append(f"shards: not used: {_counted(rest, set(rest) - pickled)}")
    if pickled:
        notes.append(f"shards: never unpickled, not used: {_counted(rest, pickled)}")
    return tuple(notes)


def _counted(found: Mapping[str, int], names: set[str]) -> str:
    return ", ".join(first_few([f".{name} ({found[name]})" for name in sorted(names)]))


def _extensions(found: Counter[str]) -> str:
    if not found:
        return "it holds no member KEY.EXTENSION"
    return "extensions found: " + ", ".join(
        first_few([f".{name} ({count})" for name, count in sorted(found.items())], 12)
    )


def _shown_all(shards: Sequence[str]) -> str:
    first = shown(shards[0]) if shards else "no shard"
    return first + (f" and {len(shards) - 1} more" if len(shards) > 1 else "")
