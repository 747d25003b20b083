"""Gray masks that JPEG has smeared: refused with the fix, or taken for the values meant."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dualseg.core.errors import InputError
from dualseg.core.labels import IGNORE_INDEX
from dualseg.data.checking.mask_facts import MaskFacts
from dualseg.data.datasets.dataset_yaml import DECLARATION_FILE, Declaration
from dualseg.data.labels.smeared_labels import MOST_UNDECIDED, UNDECIDED, nearest_values

DRAWN = (0, 255)  # background and foreground as they are usually drawn
NEAR_DRAWN = 32
MOSTLY = 0.9

Counts = Mapping[int, int]


def refuse_smeared_values(
    masks: Sequence[Path], facts: Sequence[MaskFacts], pixels: Counts, declaration: Declaration
) -> None:
    """Says what to do about JPEG masks, before their values are taken for a hundred classes.

    Args:
        masks: The label files.
        facts: What each of them holds.
        pixels: Value -> pixels, of all together.
        declaration: What was said.

    Raises:
        InputError: Some are JPEG or lossy WebP and hold values besides the declared ones, or 0 and
            255.
    """
    meant = DRAWN if declaration.values is None else tuple(declaration.values)
    smeared = [
        path
        for path, found in zip(masks, facts, strict=True)
        if found.lossy and not set(found.counts) <= set(meant)
    ]
    if not smeared:
        return
    raise InputError(
        f"{len(smeared)} masks are {lossy_format(smeared[0])} ({smeared[0]} for example), which "
        f"smears every edge, so that they hold {len(pixels)} values: {_clusters(pixels)}. Save "
        f"them as PNG from what they were made of{_fix(pixels, declaration)}"
    )


def snapped_values(
    pixels: Counts, declaration: Declaration
) -> tuple[dict[int, int], list[str], tuple[int, ...]]:
    """The meaning of the declared values (else of 0 and 255) where others are taken for them.

    Args:
        pixels: Value -> pixels, of all masks.
        declaration: Says snap.

    Returns:
        Value -> class id or 255, notes, and the values that are meant.

    Raises:
        InputError: It is not said which values are meant and they are not 0 and 255, there is
            only one, or too many pixels are near to none.
    """
    if declaration.values is not None:
        values = {raw: to for raw, to in declaration.values.items() if raw != UNDECIDED}
        # 255 is "ignored" unless it is said; no file has to hold it.
        meant = tuple(sorted(raw for raw in values if raw in pixels or raw != IGNORE_INDEX))
    else:
        values, meant = {0: 0, 255: 1}, DRAWN
        if _share_near(pixels, DRAWN) < MOSTLY:
            raise InputError(
                f"{DECLARATION_FILE} says snap but not which values are meant, and they are not 0 "
                f"and 255: {_clusters(pixels)}; say it under values"
            )
    if len(meant) < 2:
        raise InputError(f"{DECLARATION_FILE}: snap needs two values or more under values")
    present = np.fromiter(pixels, np.int32)
    found = nearest_values(present, meant)
    counts = np.fromiter(pixels.values(), np.int64)
    moved = int(counts[(found != present) & (found != UNDECIDED)].sum())
    lost, total = int(counts[found == UNDECIDED].sum()), max(1, int(counts.sum()))
    if lost > MOST_UNDECIDED * total:
        raise InputError(
            f"{100 * lost / total:.0f} % of all pixels are near to none of the values "
            f"{', '.join(map(str, meant))}, too many to take them for one: {_clusters(pixels)}; "
            "list every value that is meant under values, or save the masks as PNG"
        )
    note = (
        f"label values: {', '.join(map(str, meant))} are meant; {_percent(moved, total)} of all "
        f"pixels are taken for the nearest one, {_percent(lost, total)} are too far from all and "
        "ignored"
    )
    return {**values, UNDECIDED: IGNORE_INDEX}, [note], meant


def lossy_format(path: Path) -> str:
    """What a mask is that was found to be lossy."""
    return "lossy WebP" if path.suffix.lower() == ".webp" else "JPEG"


def _fix(pixels: Counts, declaration: Declaration) -> str:
    """How to read them all the same; nothing where the values are too near to each other."""
    if declaration.values is not None:
        return (
            f", or write snap: true into {DECLARATION_FILE}: each pixel becomes the nearest value"
        )
    peaks = [str(value) for value, _ in sorted(_largest(pixels))]
    if len(peaks) < 2:
        return ""
    if _share_near(pixels, DRAWN) >= MOSTLY:
        return (
            f", or write into {DECLARATION_FILE}: values: {{0: 0, 255: 1}} and snap: true (each "
            "pixel becomes the nearer one)"
        )
    meaning = ", ".join(f"{value}: {number}" for number, value in enumerate(peaks))
    return (
        f", or write into {DECLARATION_FILE} the values that are meant, for example values: "
        f"{{{meaning}}}, and snap: true (each pixel becomes the nearest one)"
    )


def _clusters(pixels: Counts) -> str:
    total = max(1, sum(pixels.values()))
    near = _share_near(pixels, DRAWN)
    most = ", ".join(f"{value} ({count} pixels)" for value, count in _largest(pixels))
    return f"{100 * near:.1f} % of {total} pixels are near 0 or 255, the most frequent are {most}"


def _largest(pixels: Counts, most: int = 4) -> list[tuple[int, int]]:
    """The most frequent values, none near to a more frequent one."""
    chosen: list[tuple[int, int]] = []
    for value, count in sorted(pixels.items(), key=lambda item: (-item[1], item[0])):
        if all(abs(value - other) > NEAR_DRAWN for other, _ in chosen):
            chosen.append((value, count))
    return chosen[:most]


def _share_near(pixels: Counts, values: Sequence[int]) -> float:
    near = sum(
        count
        for value, count in pixels.items()
        if min(abs(value - other) for other in values) <= NEAR_DRAWN
    )
    return near / max(1, sum(pixels.values()))


def _percent(part: int, total: int) -> str:
    return f"{100 * part / total:.1f} %"
