"""What the masks of a folder are: ids, gray levels in three channels, or colours."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.checking.mask_facts import MaskFacts, Progress, scan_masks
from dualseg.data.dataset import Pair, RawValues, read_label_file
from dualseg.data.datasets.dataset_yaml import DECLARATION_FILE, Declaration
from dualseg.data.datasets.folder_colors import meaning_of_colors
from dualseg.data.datasets.folder_faults import UnreadableMasksError
from dualseg.data.datasets.folder_labels import meaning_of_values
from dualseg.data.faults import picture_error
from dualseg.data.labels.smeared_labels import GrayReader

ReadValues = Callable[[Pair], RawValues]
ALPHA = "alpha: the same in every pixel of a mask, so it is left out"


def describe_masks(
    masks: Sequence[Path],
    declaration: Declaration,
    known: LabelSpec | None = None,
    *,
    progress: Progress | None = None,
    records: Path | None = None,
) -> tuple[LabelSpec, tuple[str, ...], ReadValues]:
    """Classes, notes that say what was inferred, and the reader of the masks.

    Args:
        masks: Label files of all splits.
        declaration: What the user's `dataset.yaml` says; it wins.
        known: Labels that are taken as they are where they tell what every value means.
        progress, records: See `scan_masks`.

    Raises:
        UnreadableMasksError: Masks cannot be read, or some are coloured and others not.
        InputError: An alpha channel tells something, or the values cannot be class ids.
    """
    scanned = scan_masks(
        masks, progress=progress, records=records, max_pixels=declaration.images.max_pixels
    )
    if declaration.values is None:
        _require_readable(masks, scanned)
    masks = [path for path, one in zip(masks, scanned, strict=True) if isinstance(one, MaskFacts)]
    facts = [one for one in scanned if isinstance(one, MaskFacts)]  # a check lists the others
    _require_even_alpha(masks, facts)
    notes = (ALPHA,) if any(found.alpha is not None for found in facts) else ()
    if _are_colors(facts, declaration):
        labels, told, color_reader = meaning_of_colors(masks, facts, declaration)
        return labels, (*told, *notes), color_reader
    if declaration.colors is not None:
        raise InputError(
            f"{DECLARATION_FILE} has colors, but not all masks are colour pictures; "
            "say what their label values mean, under values"
        )
    labels, told, snap_to = meaning_of_values(masks, facts, declaration, known)
    if snap_to is not None or any(found.kind == "gray" for found in facts):
        return labels, (*told, *notes), GrayReader(snap_to, declaration.images.max_pixels)
    return labels, (*told, *notes), read_label_file


def _require_readable(masks: Sequence[Path], found: Sequence[MaskFacts | InputError]) -> None:
    """Refuses masks that cannot be read, and coloured ones among plain ones."""
    by_file = dict(zip(masks, found, strict=True))
    if any(isinstance(one, MaskFacts) and one.kind == "ids" for one in found):
        for path, one in by_file.items():
            if isinstance(one, MaskFacts) and one.kind == "colors":
                by_file[path] = picture_error(
                    "E104",
                    path,
                    "is a colour picture, but others hold one class id a pixel",
                    "save it as 8-bit gray or palette PNG",
                    expected="one kind of masks",
                )
    if any(isinstance(one, InputError) for one in by_file.values()):
        raise UnreadableMasksError(by_file)


def _require_even_alpha(masks: Sequence[Path], facts: Sequence[MaskFacts]) -> None:
    for path, found in zip(masks, facts, strict=True):
        if found.alpha is not None and found.alpha[0] != found.alpha[1]:
            low, high = found.alpha
            raise InputError(
                f"{path} has an alpha channel from {low} to {high}, so it is unclear what its "
                "transparent pixels mean; save it as RGB, or as PNG with one class id a pixel"
            )


def _are_colors(facts: Sequence[MaskFacts], declaration: Declaration) -> bool:
    """Gray levels in three channels are ids, but where colours are declared, or others have some.

    A smeared black-and-white JPEG has tinted pixels too; it is told apart by what was declared.
    """
    if not facts or any(found.kind == "ids" for found in facts):
        return False
    return declaration.colors is not None or any(found.kind == "colors" for found in facts)
