"""What the label values of a folder mean: said by the user, or inferred from all masks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dualseg.core.errors import InputError
from dualseg.core.labels import IGNORE_INDEX, Color, LabelSpec, voc_palette
from dualseg.data.checking.mask_facts import MaskFacts
from dualseg.data.datasets.dataset_yaml import DECLARATION_FILE, Declaration
from dualseg.data.datasets.folder_contradictions import (
    refuse_reordered_palettes,
    refuse_two_foregrounds,
)
from dualseg.data.datasets.folder_smeared import refuse_smeared_values, snapped_values
from dualseg.data.pictures.images import read_palette

MAX_INFERRED = 40  # more values than this are gray levels rather than classes
LOOKED_AT = 100  # masks; where those have no palette, none is expected
SHOWN_VALUES = 8

Values = dict[int, int]


@dataclass
class _Scan:
    """Label values that occur, with their pixels and the first file that holds each."""

    pixels: dict[int, int] = field(default_factory=dict)
    files: dict[int, Path] = field(default_factory=dict)


def meaning_of_values(
    masks: Sequence[Path],
    facts: Sequence[MaskFacts],
    declaration: Declaration,
    known: LabelSpec | None = None,
) -> tuple[LabelSpec, tuple[str, ...], tuple[int, ...] | None]:
    """Classes, palette and the meaning of each value, with notes that say what was inferred.

    Args:
        masks: Label files of all splits.
        facts: What each of them holds.
        declaration: What the user's `dataset.yaml` says; it wins.
        known: Labels that are taken as they are where they tell what every value means.

    Returns:
        The labels, the notes, and the true values where smeared ones are to be taken for them.

    Raises:
        InputError: Their values cannot be class ids.
    """
    scan = _scan(masks, facts)
    if declaration.assumes_255:
        _require_foreground_told(scan, declaration)
    if declaration.values is None:
        refuse_reordered_palettes(masks, facts)
        if known is None or known.num_classes == 2:
            refuse_two_foregrounds(masks, facts, declaration)
    if declaration.snap:
        values, notes, snap_to = snapped_values(scan.pixels, declaration)
    else:
        snap_to = None
        refuse_smeared_values(masks, facts, scan.pixels, declaration)
        if declaration.values is not None:
            values, notes = dict(declaration.values), [f"label values: as {DECLARATION_FILE} says"]
        elif known is not None and _explains(known, set(scan.pixels)):
            painted = declaration.palette is not None
            labels = replace(known, palette=declaration.palette) if painted else known
            return labels, ("labels: as the network was trained",), None
        else:
            values = _values(scan, declaration)
            notes = _value_notes(values, scan)
    names = declaration.class_names or _class_names(values)
    palette, origin = _palette(masks, values, len(names), declaration)
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    classes = f"classes: {len(names)} ({shown})"
    return LabelSpec(names, palette, values), (classes, *notes, f"palette: {origin}"), snap_to


def _scan(masks: Iterable[Path], facts: Iterable[MaskFacts]) -> _Scan:
    scan = _Scan()
    for path, found in zip(masks, facts, strict=True):
        for value, count in found.counts.items():
            scan.pixels[value] = scan.pixels.get(value, 0) + count
            scan.files.setdefault(value, path)
    return scan


def _require_foreground_told(scan: _Scan, declaration: Declaration) -> None:
    """Refuses to ignore every pixel that was drawn, where nobody asked for that."""
    classes = set((declaration.values or {}).values()) - {IGNORE_INDEX}
    if set(scan.pixels) == {0, IGNORE_INDEX} and len(classes) == 2:
        raise InputError(
            f"the masks hold the values 0 and 255 alone, but values in {DECLARATION_FILE} says "
            "nothing of 255; write values: {0: 0, 255: 1} if it is the second class, or add "
            "ignore_index: 255 if it is ignored"
        )


def _explains(labels: LabelSpec, found: set[int]) -> bool:
    """Whether labels tell what each value means.

    Where 0 and 255 are all there is, 255 is the foreground and not ignored: labels of two classes
    that ignore it come from masks that were drawn in another way.
    """
    drawn = found == {0, IGNORE_INDEX} and labels.num_classes == 2
    ignores = labels.values.get(IGNORE_INDEX) == labels.ignore_index
    return found <= set(labels.values) and not (drawn and ignores)


def _values(scan: _Scan, declaration: Declaration) -> Values:
    """Raw value -> class id or 255, for every value that may occur."""
    found = set(scan.pixels)
    two_classes = declaration.class_names is None or len(declaration.class_names) == 2
    if found == {0, 255} and declaration.ignore_index is None and two_classes:
        return {0: 0, 255: 1}  # the usual drawing of a foreground; 255 is not "ignored" here
    ignored = IGNORE_INDEX if declaration.ignore_index is None else declaration.ignore_index
    ids = found - {ignored}
    if declaration.class_names is not None:
        count = len(declaration.class_names)
        starts_at_one = bool(ids) and min(ids) >= 1 and max(ids) == count
        first = 1 if ignored == 0 or starts_at_one else 0
    else:
        _require_class_ids(ids, scan)
        first = 1 if ignored == 0 or min(ids) == 1 else 0
        count = max(ids) + 1 - first
    if first <= ignored < first + count:
        raise InputError(
            f"{DECLARATION_FILE}: ignore_index {ignored} lies among the label values {first} to "
            f"{first + count - 1}. {_help(scan)}"
        )
    return {**{raw: raw - first for raw in range(first, first + count)}, ignored: IGNORE_INDEX}


def _require_class_ids(ids: set[int], scan: _Scan) -> None:
    """Refuses what is no set of class ids, before it becomes a network of 200 classes."""
    shown = _listed(sorted(ids))
    if len(ids) > MAX_INFERRED:
        value = sorted(ids)[len(ids) // 2]
        raise InputError(
            f"the masks hold {len(ids)} different values ({shown}; {value} for example in "
            f"{scan.files[value]}), as gray levels, smoothed edges or JPEG compression do; save "
            f"them as PNG with one class id a pixel. {_help(scan)}, or give class_names for ids "
            "from 0 on"
        )
    if not ids or (len(ids) == 1 and max(ids) < 2):
        ignored = "; 255 counts as ignored" if IGNORE_INDEX in scan.pixels else ""
        raise InputError(
            f"the masks hold one class only (values {_listed(sorted(scan.pixels))}{ignored}), so "
            f"there is nothing to learn. {_help(scan)}"
        )
    if min(ids) < 0 or max(ids) + 1 > 2 * len(ids):
        raise InputError(
            f"the masks hold the values {shown}, with gaps as gray levels have them "
            f"({max(ids)} for example in {scan.files[max(ids)]}). {_help(scan)}"
        )


def _help(scan: _Scan) -> str:
    """What to write into dataset.yaml for the values that were found, each one a class."""
    found = sorted(scan.pixels)
    if len(found) < 2:
        found = sorted({0, *found} if set(found) != {0} else {0, IGNORE_INDEX})
    meaning = [f"{value}: {class_id}" for class_id, value in enumerate(found[:SHOWN_VALUES])]
    more = ", ..." if len(found) > SHOWN_VALUES else ""
    return (
        f"If they are meant, say in {DECLARATION_FILE}, in the folder itself, which class each one "
        f"is: values: {{{', '.join(meaning)}{more}}} (255 in place of a class: ignored)"
    )


def _value_notes(values: Values, scan: _Scan) -> list[str]:
    ids = [raw for raw, to in values.items() if to != IGNORE_INDEX]
    ignored = [raw for raw, to in values.items() if to == IGNORE_INDEX]
    if not ignored:
        return [
            "label values: 0 is the first class, 255 the second; no value is ignored (if 255 "
            f"means ignored, write ignore_index: 255 into {DECLARATION_FILE})"
        ]
    total = max(1, sum(scan.pixels.values()))
    share = 100 * scan.pixels.get(ignored[0], 0) / total
    moved = "" if min(ids) == 0 else " become class ids from 0 on"
    notes = [
        f"label values: {min(ids)} to {max(ids)}{moved}",
        f"ignored: label value {ignored[0]} ({share:.1f} % of all pixels)",
    ]
    absent = [raw for raw in ids if raw not in scan.pixels]
    return [*notes, f"no pixel has the label values {_listed(absent)}"] if absent else notes


def _class_names(values: Values) -> tuple[str, ...]:
    ids = [to for to in values.values() if to != IGNORE_INDEX]
    if max(ids) == 1:
        return ("background", "foreground")
    return tuple(f"class_{class_id}" for class_id in range(max(ids) + 1))


def _palette(
    masks: Sequence[Path], values: Values, num_classes: int, declaration: Declaration
) -> tuple[tuple[Color, ...], str]:
    """The user's colours, else those of the first palette mask, else PASCAL VOC's."""
    declared = declaration.palette
    if declared is not None:
        if len(declared) != num_classes:
            raise InputError(
                f"{DECLARATION_FILE}: the palette has {len(declared)} colours, the masks have "
                f"{num_classes} classes; give one colour for each class"
            )
        return declared, f"as {DECLARATION_FILE} says"
    for path in masks[:LOOKED_AT]:
        stored = read_palette(path, max_pixels=declaration.images.max_pixels)
        if stored is not None:
            colors = _class_colors(stored, values, num_classes)
            if colors is not None:
                return colors, f"of {path.name}"
            break
    return voc_palette(num_classes), "PASCAL VOC's colours"


def _class_colors(
    stored: tuple[Color, ...], values: Values, num_classes: int
) -> tuple[Color, ...] | None:
    """A colour for each class; None if one is missing, two are equal, or all are shades of gray."""
    raw_of = {to: raw for raw, to in sorted(values.items(), reverse=True)}
    raws = [raw_of.get(class_id, len(stored)) for class_id in range(num_classes)]
    if max(raws) >= len(stored):
        return None
    colors = tuple(stored[raw] for raw in raws)
    gray = num_classes > 2 and all(red == green == blue for red, green, blue in colors)
    return None if gray or len(set(colors)) < num_classes else colors


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
