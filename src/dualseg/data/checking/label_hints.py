"""What label values that are no class probably mean, and the line that says so."""

from collections.abc import Iterable
from pathlib import Path

from dualseg.core.errors import InputError, first_few
from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.faults import Fault
from dualseg.data.pictures.images import read_palette

VOC_CLASSES = 21


def unknown_values_fault(
    path: Path, unknown: dict[int, int], found: Iterable[int], labels: LabelSpec
) -> Fault:
    """The fault of a label file whose values have no meaning.

    Args:
        path: The label file.
        unknown: Values without a meaning -> number of pixels.
        found: All its values.
        labels: The meanings there are.
    """
    shown = ", ".join(first_few([f"{value} ({n} pixels)" for value, n in unknown.items()]))
    known = ", ".join(map(str, sorted(labels.values)[:12]))
    more = ", ..." if len(labels.values) > 12 else ""
    return Fault(
        "E103",
        str(path),
        f"holds label values {shown} that are no class",
        f"one of {known}{more}",
        suggested_fix(path, sorted(unknown), set(found), labels),
    )


def suggested_fix(path: Path, unknown: list[int], found: set[int], labels: LabelSpec) -> str:
    """The nearest explanation; else the values are to be mapped one by one."""
    count = labels.num_classes
    if found <= {0, max(found)} and max(found) in (1, 255) and count == 2:
        meaning = f"{{0: 0, {max(found)}: 1}}"
        return f"0 and {max(found)} look like a binary mask: in dataset.yaml, values: {meaning}"
    if unknown == [count] and 0 not in found:
        meaning = [f"{class_id + 1}: {class_id}" for class_id in range(count)]
        shown = ", ".join([*meaning[:2], "...", meaning[-1]] if count > 4 else meaning)
        return f"ids seem to start at 1: in dataset.yaml, values: {{{shown}}}"
    if _has_voc_palette(path) and max(unknown) < VOC_CLASSES:
        return (
            f"its palette is PASCAL VOC's, of {VOC_CLASSES} classes: name {VOC_CLASSES} classes in "
            "dataset.yaml, or correct the file"
        )
    example = min(labels.values, key=lambda value: (abs(value - unknown[0]), value))
    return (
        f"correct the file (nearest known value: {example}), or say in dataset.yaml, under values, "
        f"what each one is, for example values: {{{unknown[0]}: {labels.ignore_index}}} to ignore "
        "it"
    )


def _has_voc_palette(path: Path) -> bool:
    try:
        palette = read_palette(path)
    except InputError:  # a label that is no picture
        return False
    return palette is not None and palette[:VOC_CLASSES] == voc_palette(VOC_CLASSES)
