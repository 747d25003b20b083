"""What labels drawn as shapes have in common: classes by name, splits, and files that are text.

The background is the first class; shapes lie on top of those before them. `__ignore__` is the name
of regions that are ignored, `_background_` another one of the background, both as LabelMe has them.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError, first_few
from dualseg.core.geometry import Size
from dualseg.core.image_spec import MAX_PIXELS
from dualseg.core.labels import IGNORE_INDEX, MAX_CLASSES, Color, LabelSpec, voc_palette
from dualseg.data.dataset import Pair, Pairs, RawValues
from dualseg.data.datasets.coco_shapes import Patch, paint
from dualseg.data.datasets.dataset_yaml import DECLARATION_FILE, LEAVE_OUT, Declaration
from dualseg.data.datasets.folder_pairs import SHOWN, hold_out
from dualseg.data.datasets.folder_places import find_images
from dualseg.data.datasets.folder_text_lists import (
    Listed,
    as_listed,
    read_name_lists,
    unread_lists,
)
from dualseg.data.labels.class_names import lookalikes

BACKGROUND = "background"
BACKGROUNDS = (BACKGROUND, "_background_")
IGNORED = "__ignore__"
SHOWN_CLASSES = 40

ClassIds = Mapping[str, int]


class Drawn(NamedTuple):
    """A folder whose labels are drawn.

    Attributes:
        splits: Pairs by split, train and val among them unless only other splits exist.
        labels: Classes, the same in every split.
        notes: What was inferred, one line each.
        read_values: Draws the label of a pair.
    """

    splits: Pairs
    labels: LabelSpec
    notes: tuple[str, ...]
    read_values: Callable[[Pair], RawValues]


@dataclass
class Names:
    """Class names that a format states or uses.

    Args:
        order: Names in the order of their ids, without the background; those that occur in
            alphabetical order where it is empty.
        shapes: Name -> how many shapes have it.
        colors: Name -> colour, where the format has one.
    """

    order: Sequence[str] = ()
    shapes: dict[str, int] = field(default_factory=dict)
    colors: Mapping[str, Color] = field(default_factory=dict)

    def count(self, names: Iterable[str]) -> None:
        """Adds shapes."""
        for name in names:
            self.shapes[name] = self.shapes.get(name, 0) + 1


def classes_of_names(
    kind: str, names: Names, declaration: Declaration, known: LabelSpec | None = None
) -> tuple[LabelSpec, ClassIds, tuple[str, ...]]:
    """Classes of shapes, the background first.

    Args:
        kind: What the shapes are called in messages.
        names: What the files say.
        declaration: What the user's `dataset.yaml` says; its class names win.
        known: A network's classes; they are taken where they begin with the same background and
            hold every name.

    Returns:
        The classes, the class id of every name that may occur, and notes.

    Raises:
        InputError: A name is no class, two look alike, there are no classes or too many, there is
            no shape, or the declaration says what shapes cannot have.
    """
    _require_fitting(kind, declaration)
    stated = dict.fromkeys([*names.order, *([] if names.order else sorted(names.shapes))])
    inferred = (BACKGROUND, *(n for n in stated if n not in (*BACKGROUNDS, IGNORED)))
    chosen, palette, told = declaration.class_names or inferred, declaration.palette, []
    _require_unlike(kind, [*chosen, *names.shapes])
    if declaration.class_names is None and known is not None and _covers(known, inferred):
        chosen, palette = known.class_names, palette or known.palette
        told = ["labels: the network's classes"]
    ids = class_ids(chosen)
    strange = sorted(set(names.shapes) - set(ids))
    if strange or not 2 <= len(chosen) <= MAX_CLASSES:
        raise InputError(
            f"{kind}: {len(chosen)} classes ({', '.join(chosen[:12])}), without a class: "
            f"{', '.join(strange) or 'none'}; give all of them in class_names of {DECLARATION_FILE}"
        )
    told_elsewhere = declaration.class_names is not None or known is not None
    if not told_elsewhere and not set(names.shapes) - {*BACKGROUNDS, IGNORED}:
        raise InputError(
            f"{kind}: there is no shape of any class ({', '.join(chosen[1:12])}), so there is "
            f"nothing to learn; add shapes, or, if that is meant, class_names in {DECLARATION_FILE}"
        )
    labels = LabelSpec(chosen, palette or _palette(chosen, names.colors))
    ignored = names.shapes.get(IGNORED, 0) if IGNORED not in chosen else 0
    first = 0 if chosen[0] in names.shapes else 1
    listed = [f"  {name}: {names.shapes.get(name, 0)} shapes" for name in chosen[first:]]
    notes = (
        *told,
        f"classes: {len(chosen)} ({', '.join(chosen[:12])})",
        f"labels: {kind}; pixels outside of them are {chosen[0]}",
        *([f"ignored: {ignored} shapes named {IGNORED}"] if ignored else []),
        *first_few(listed, SHOWN_CLASSES, what="classes"),
    )
    return labels, ids, notes


def class_ids(class_names: Sequence[str]) -> dict[str, int]:
    """The class id of every name that shapes may have."""
    ids = {IGNORED: IGNORE_INDEX}
    if class_names[0] in BACKGROUNDS:
        ids |= dict.fromkeys(BACKGROUNDS, 0)
    return ids | {name: number for number, name in enumerate(class_names)}


def splits_of(
    pairs: Mapping[str, Sequence[Pair]],
    root: Path,
    *,
    allow_missing: bool,
    lists: Listed | None = None,
) -> tuple[Pairs, tuple[str, ...]]:
    """Pairs by split, and notes; where there is no val, a part of train becomes it.

    Where the pairs say no split but train, lists of names do.

    Args:
        pairs: By split; those of none are under "".
        root: Where lists of names are looked for.
        allow_missing: Whether names that they hold of no pair are left out, with a note.
        lists: Those that are named elsewhere, which go before others.

    Raises:
        InputError: There is one pair alone, a name stands twice in a split, or lists do not fit.
    """
    splits = {split: tuple(found) for split, found in pairs.items()}
    splits["train"] = (*splits.pop("", ()), *splits.get("train", ()))
    splits = {split: found for split, found in splits.items() if found}
    for split, found in splits.items():
        times = Counter(pair.name for pair in found)
        doubled = sorted(name for name, count in times.items() if count > 1)
        if doubled:
            raise InputError(
                f"{root}: {len(doubled)} names stand twice in {split}; give each image its own:",
                first_few(doubled),
            )
    if set(splits) == {"train"}:
        lists = lists or read_name_lists(root)
        splits, notes = _listed(lists, splits, root, allow_missing)
    else:
        notes = [f"not read: {path.relative_to(root).as_posix()}" for path in lists or ()]
    notes += unread_lists(root, read=lists or ())
    held = "train" in splits and "val" not in splits
    if held:
        splits["train"], splits["val"] = hold_out(splits["train"], root)
    ordered = {s: splits[s] for s in ("train", "val", *splits) if s in splits}
    sizes = ", ".join(f"{len(found)} {split}" for split, found in ordered.items())
    ending = "; val is held out by a hash of the name" if held else ""
    return ordered, (f"images: {sizes}{ending}", *notes)


def _listed(
    lists: Listed | None, splits: Pairs, root: Path, allow_missing: bool
) -> tuple[Pairs, list[str]]:
    """The splits as lists say them, where there are some, and notes."""
    if lists is None:
        return splits, []
    faults: list[str] = []
    missing: list[str] = []
    found = as_listed(lists, splits["train"], faults, missing)
    if faults or (missing and not allow_missing):
        advice = f"; {LEAVE_OUT}" if missing and not allow_missing else ""
        raise InputError(
            f"images and lists of names in {root} do not fit together{advice}:",
            first_few(faults if allow_missing else [*missing, *faults]),
        )
    note = f"split: as {' and '.join(file.name for file in lists)} list the names"
    return found, [note, *(f"left out: {line}" for line in first_few(missing))]


def images_named(
    root: Path,
    file: Path,
    names: Sequence[str],
    split: str,
    declaration: Declaration,
    notes: list[str],
) -> list[Path | None]:
    """The images that an annotation file names; None for those that are missing and may be.

    Args:
        root: The data set's folder.
        file: The annotation file.
        names: As it names them.
        split: Or "" where that is unknown.
        declaration: Says whether images may be missing.
        notes: Which ones are missing is added here.

    Raises:
        InputError: A name leads out of the folder or fits several images, or there is no such one.
    """
    try:
        paths = find_images(root, file.parent, names, split)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    missing = [name for name, path in zip(names, paths, strict=True) if path is None]
    if missing and not declaration.allow_missing:
        raise InputError(
            f"{len(missing)} of {len(names)} images that {file} names are not in {root} (nor in "
            f"images/ or a folder of the split); {LEAVE_OUT}:",
            first_few(missing),
        )
    notes += [f"left out: {file.name} names {name}, which is missing" for name in missing[:SHOWN]]
    notes += [f"left out: ... {len(missing)} missing images in all"] if len(missing) > SHOWN else []
    return paths


def draw(size: Size, patches: Iterable[tuple[int, Patch | None]]) -> NDArray[np.uint8]:
    """(H, W) class ids: 0, and on it one patch after the other."""
    label_map = np.zeros(size, np.uint8)
    for class_id, patch in patches:
        paint(label_map, patch, class_id)
    return label_map


def require_size(height: Any, width: Any, *, max_pixels: int = MAX_PIXELS) -> Size:
    """A size as a file states it.

    Raises:
        ValueError: It is none, or far too large.
    """
    numbers = all(type(side) is int and side > 0 for side in (height, width))
    if not numbers or height * width > max_pixels:
        raise ValueError(f"{height!r} x {width!r} is no size of an image (height x width)")
    return height, width


def read_text(path: Path, max_bytes: int) -> str:
    """A text file of limited size.

    Raises:
        InputError: It is larger, no UTF-8, or cannot be read.
    """
    try:
        if path.stat().st_size > max_bytes:
            raise InputError(f"{path} is larger than {max_bytes >> 20} MiB, too much for shapes")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text ({error}); save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def read_json_object(path: Path, max_bytes: int) -> dict[str, Any]:
    """A JSON object from a file of limited size.

    Raises:
        InputError: It is larger, cannot be read, or holds something else.
    """
    try:
        content = json.loads(read_text(path, max_bytes))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({error}); is it cut off?") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, no object with shapes")
    return content


def _require_fitting(kind: str, declaration: Declaration) -> None:
    """Numbers and colours say nothing of shapes."""
    if declaration.colors is not None or declaration.changes_values or declaration.snap:
        raise InputError(
            f"{DECLARATION_FILE} says what label values or colours mean, but the labels are "
            f"{kind}, which have names; give class_names and palette alone, and name shapes "
            f"{IGNORED} that are to be ignored"
        )


def _require_unlike(kind: str, names: Iterable[str]) -> None:
    """A blank typed behind a label would be a class of its own."""
    alike = lookalikes(names)
    if alike:
        raise InputError(
            f"{kind}: names of classes look alike; spell each in one way, without blanks around "
            "it:",
            first_few(alike),
        )


def _covers(known: LabelSpec, inferred: Sequence[str]) -> bool:
    return known.class_names[0] == inferred[0] and set(inferred) <= set(known.class_names)


def _palette(names: Sequence[str], colors: Mapping[str, Color]) -> tuple[Color, ...]:
    """The format's colours where every class has its own, else PASCAL VOC's."""
    own = [colors.get(name) for name in names[1:]]
    found: list[Color] = [color for color in own if color is not None]
    background = colors.get(names[0], (0, 0, 0))
    if len(found) == len(own) == len({*found, background}) - 1:
        return (background, *found)
    return voc_palette(len(names))
