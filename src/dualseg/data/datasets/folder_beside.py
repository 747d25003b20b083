"""Images and masks in one folder, told apart by their names: a.jpg and a_mask.png."""

from collections.abc import Mapping
from pathlib import Path

from dualseg.core.errors import InputError, first_few
from dualseg.data.dataset import Pair, Pairs
from dualseg.data.datasets.dataset_yaml import LEAVE_OUT
from dualseg.data.datasets.folder_listing import pictures, unread
from dualseg.data.datasets.folder_names import looks_like_mask, match_names, same_name
from dualseg.data.datasets.folder_text_lists import (
    as_listed,
    bare_notes,
    read_name_lists,
    unread_lists,
    without_bare_tests,
)


def holds_masks_beside(folder: Path) -> bool:
    """Whether a picture in the folder itself is named as a mask."""
    return any(looks_like_mask(path.stem) for path in pictures(folder))


def find_side_by_side(
    root: Path, folders: Mapping[str, Path], *, allow_missing: bool = False
) -> tuple[Pairs, list[str]] | None:
    """Pairs such as a.jpg and a_mask.png in one folder; None where no file looks like a mask.

    Args:
        root: The data set's folder; where there is no folder for each split, lists of names in it
            say which pair is in which.
        folders: The folder of each split; of all pairs, where train is the only one.
        allow_missing: Whether files without a partner are left out, with a note.

    Returns:
        Pairs by split, and notes.

    Raises:
        InputError: An image or a mask has no partner, or several.
    """
    files = {split: pictures(folder) for split, folder in folders.items()}
    masks = [p for listed in files.values() for p in listed if looks_like_mask(p.stem)]
    if not masks:
        return None
    notes = [f"pairs: images and masks lie side by side ({masks[0].relative_to(root).as_posix()})"]
    if "test" in files and not holds_masks_beside(folders["test"]):
        del files["test"]
        notes.append(f"split: {folders['test']} has no masks and is left out")
    notes += [line for split in files if folders[split] != root for line in unread(folders[split])]
    missing: list[str] = []
    faults: list[str] = []
    named = lists = read_name_lists(root) if set(files) == {"train"} else None
    if lists is not None:
        stems = [path.stem for path in files["train"]]
        images = [stem for stem in stems if not looks_like_mask(stem)]
        lists, bare = without_bare_tests(lists, images, [s for s in stems if looks_like_mask(s)])
        kept_back = {name for _, names in bare.values() for name in names}
        files["train"] = [path for path in files["train"] if path.stem not in kept_back]
        notes += bare_notes(bare)
    pairs = {split: _pairs(root, listed, faults, missing) for split, listed in files.items()}
    if lists is not None:
        pairs = as_listed(lists, pairs["train"], faults, missing)
        notes.append(f"split: as {' and '.join(file.name for file in lists)} list the names")
    notes += unread_lists(root, read=named or ())
    if faults or (missing and not allow_missing):
        advice = f"; {LEAVE_OUT}" if missing and not allow_missing else ""
        raise InputError(
            f"images and masks in {root} do not fit together{advice}:",
            first_few(faults if allow_missing else [*missing, *faults]),
        )
    return pairs, [*notes, *(f"left out: {line}" for line in first_few(missing))]


def _pairs(
    root: Path, files: list[Path], faults: list[str], missing: list[str]
) -> tuple[Pair, ...]:
    """Pairs of a folder; what has no partner is added to the missing ones."""

    def short(path: Path) -> str:
        return path.relative_to(root).as_posix()

    masks = {path.stem: path for path in files if looks_like_mask(path.stem)}
    images = {path.stem: path for path in files if path.stem not in masks}
    mask_of, alone, doubled = match_names(list(images), list(masks))
    missing += [f"{short(masks[mask])} belongs to 0 images" for mask in alone]
    missing += [f"{short(images[stem])} has 0 masks" for stem in images if stem not in mask_of]
    faults += [f"{short(masks[mask])} belongs to an image that has several" for mask in doubled]
    faults += [f"{short(path)} shares its name" for path in same_name(files)]
    return tuple(Pair(stem, images[stem], masks[mask_of[stem]]) for stem in sorted(mask_of))
