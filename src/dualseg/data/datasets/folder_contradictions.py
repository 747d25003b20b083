"""Masks that contradict each other: a value means one thing here and another there."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from dualseg.core.errors import InputError
from dualseg.core.labels import IGNORE_INDEX
from dualseg.data.checking.mask_facts import MaskFacts
from dualseg.data.datasets.dataset_yaml import DECLARATION_FILE, Declaration
from dualseg.data.labels.color_labels import unpack_color

FOREGROUND = 1  # drawn as 1 by some programs, as 255 by others


def refuse_reordered_palettes(masks: Sequence[Path], facts: Iterable[MaskFacts]) -> None:
    """A program that sorts each palette by frequency gives a class another number in every file.

    A colour that several indices of one file share tells nothing, and is not looked at.

    Args:
        masks: Label files.
        facts: What each of them holds.

    Raises:
        InputError: One colour stands for two values.
    """
    first: dict[int, tuple[int, Path]] = {}
    for path, found in zip(masks, facts, strict=True):
        for value, color in found.colors.items():
            other, elsewhere = first.setdefault(color, (value, path))
            if other != value:
                raise InputError(
                    f"the colour {list(unpack_color(color))} is label value {other} in {elsewhere} "
                    f"but {value} in {path}: palettes differ from mask to mask. Save the masks as "
                    "RGB pictures if their colours are right, or as gray pictures of class ids; if "
                    "the numbers are right as they are, say which class each one is under values "
                    f"in {DECLARATION_FILE}"
                )


def refuse_two_foregrounds(
    masks: Sequence[Path], facts: Sequence[MaskFacts], declaration: Declaration
) -> None:
    """Some masks of 0 and 1 and others of 0 and 255 are of one kind, or 255 is ignored.

    Args:
        masks: Label files.
        facts: What each of them holds.
        declaration: What the user's `dataset.yaml` says; more than two classes settle it.

    Raises:
        InputError: No mask holds both 1 and 255, and nothing is said of 255.
    """
    if declaration.ignore_index is not None or len(declaration.class_names or "ab") != 2:
        return
    held = [set(found.counts) for found in facts]
    if set().union(*held) != {0, FOREGROUND, IGNORE_INDEX}:
        return
    if any({FOREGROUND, IGNORE_INDEX} <= values for values in held):
        return
    ones = [path for path, values in zip(masks, held, strict=True) if FOREGROUND in values]
    whites = [path for path, values in zip(masks, held, strict=True) if IGNORE_INDEX in values]
    raise InputError(
        f"some masks hold the value 1 ({ones[0]} for example), others 255 ({whites[0]} for "
        f"example), none both, so 255 may mean the same as 1 or be ignored; write into "
        f"{DECLARATION_FILE}: values: {{0: 0, 1: 1, 255: 1}} if it is the same class, or "
        "ignore_index: 255 if it is ignored"
    )
