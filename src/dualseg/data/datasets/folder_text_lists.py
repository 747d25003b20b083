"""Lists that are plain text: train.txt, val.txt and so on, of names or of "image label" lines."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from dualseg.core.errors import InputError, first_few
from dualseg.data.dataset import Pair, Pairs
from dualseg.data.datasets.folder_listing import files_named, pictures, sub_folders
from dualseg.data.datasets.folder_names import match_names, spelled_as
from dualseg.data.pictures.images import IMAGE_SUFFIXES

SPLIT_NAMES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
LIST_NAMES = ("train", "val", "test", *SPLIT_NAMES)
LIST_FOLDERS = ("ImageSets/Segmentation", "ImageSets", "splits", "lists")
MAX_LIST_BYTES = 1 << 28

Listed = dict[Path, tuple[str, list[str]]]
Row = tuple[str, str, str, str]


def pair_lists(root: Path) -> tuple[list[Path], list[str]]:
    """Lists of "image label" lines in the folder itself, and notes on those that are left out.

    A list of the test split may name images alone, since their labels are often kept back.

    Raises:
        InputError: One of train and val lists pairs, the other something else or nothing.
    """
    texts = _lists_in(root)
    pairs = [path for path in texts if _names_two(path)]
    if not pairs:
        return [], []
    others = [path for path in texts if path not in pairs]
    strange = [path for path in others if split_named(path.stem) != "test"]
    if strange:
        line = _first_line(strange[0])
        found = f"begins with {line[:80]!r}" if line else "is empty"
        raise InputError(
            f'{strange[0]} {found}, but {pairs[0].name} holds "image label" lines; write such '
            "lines into both, or remove it"
        )
    notes = [f"not read: {path.name}, which names no labels" for path in others]
    return pairs, [*notes, *unread_lists(root, read=others)]


def pair_rows(paths: Sequence[Path]) -> list[Row]:
    """Place, split, image and label of every line.

    Raises:
        InputError: A line does not hold two words, or it is no UTF-8.
    """
    rows = []
    for path in paths:
        for number, line in enumerate(_lines(path), start=1):
            words = [word.strip() for word in line.split("\t")] if "\t" in line else line.split()
            if words and len(words) != 2:
                raise InputError(
                    f'{path}, line {number}: expected "image label", got {line!r}; where names '
                    "hold spaces, put a tab between the two"
                )
            if words:
                where = f"{path.name}, line {number}"
                rows.append((where, split_named(path.stem), words[0], words[1]))
    return rows


def read_name_lists(root: Path) -> Listed | None:
    """Lists of names alone, as PASCAL VOC has them; None where there are none.

    Args:
        root: Holds train.txt and val.txt, or a folder of one of `LIST_FOLDERS` does; of several
            the first counts.

    Returns:
        File -> its split, and the names in it without folder and file suffix.

    Raises:
        InputError: A list is empty or no UTF-8, a name stands in it twice, or one of train and val
            is listed in another folder.
    """
    found = _lists_by_folder(root)
    if not found:
        return None
    first, *others = found
    missing = {"train", "val"} - {split_named(path.stem) for path in first}
    apart = [p for paths in others for p in paths if split_named(p.stem) in missing]
    if apart:
        both = " and ".join(path.relative_to(root).as_posix() for path in (first[0], apart[0]))
        raise InputError(f"{root}: {both} lie apart; put the lists of all splits into one folder")
    return read_lists(root, {path: split_named(path.stem) for path in first})


def read_lists(root: Path, split_of: Mapping[Path, str]) -> Listed:
    """As `read_name_lists`, for lists that are named elsewhere; each with its split."""
    return {path: (split, _bare_names(path, root)) for path, split in split_of.items()}


def unread_lists(root: Path, *, read: Collection[Path] = ()) -> list[str]:
    """A note on the lists of names alone that are not read."""
    found = [path for paths in _lists_by_folder(root) for path in paths if path not in read]
    names = [path.relative_to(root).as_posix() for path in found]
    return [f"not read: {', '.join(names)}"] if names else []


def without_bare_tests(
    lists: Listed, images: Sequence[str], masks: Sequence[str]
) -> tuple[Listed, Listed]:
    """Without the lists of test images of which none has a mask: those are kept back.

    Args:
        lists: As `read_name_lists` gives them.
        images, masks: Names of all files.

    Returns:
        The other lists, and those left out; none where nothing else is listed. Names are spelled
        as those of the images.
    """
    mask_of, _, _ = match_names(images, masks)
    stems = set(images)
    spelled = {file: (split, spelled_as(names, stems)) for file, (split, names) in lists.items()}
    bare = {
        file: (split, names)
        for file, (split, names) in spelled.items()
        if split == "test" and set(names) <= stems and mask_of.keys().isdisjoint(names)
    }
    kept = {file: listed for file, listed in spelled.items() if file not in bare}
    return (kept, bare) if kept else (spelled, {})


def bare_notes(lists: Iterable[Path]) -> list[str]:
    """What is said of the lists that are left out."""
    return [f"split: the images in {file.name} have no masks and are left out" for file in lists]


def as_listed(lists: Listed, pairs: Iterable[Pair], faults: list[str], missing: list[str]) -> Pairs:
    """The pairs of the images that lists name, by split; others are of no concern.

    Args:
        lists: As `read_name_lists` gives them.
        pairs: All there are.
        faults: Names in lists of two splits, or of several images, are added here.
        missing: Names of no pair are added here.
    """
    by_name: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_name.setdefault(pair.image.stem, []).append(pair)
    split_of: dict[str, str] = {}
    found: dict[str, list[Pair]] = {}
    for file, (split, given) in lists.items():
        names = spelled_as(given, by_name)
        missing += [
            f"{file.name} lists {n}, of which there is no pair" for n in names if n not in by_name
        ]
        several = [name for name in names if len(by_name.get(name, ())) > 1]
        faults += [f"{file.name} lists {name}, the name of several images" for name in several]
        both = [name for name in names if split_of.setdefault(name, split) != split]
        faults += [
            f"{name} stands in the lists of {split_of[name]} and of {split}" for name in both
        ]
        found.setdefault(split, []).extend(by_name[name][0] for name in names if name in by_name)
    return {split: tuple(listed) for split, listed in found.items()}


def split_named(name: str) -> str:
    """The split that a list or a row of a table means."""
    return SPLIT_NAMES.get(name.lower(), name.lower())


def _lists_by_folder(root: Path) -> list[list[Path]]:
    """Lists of names alone, of each folder that holds some."""
    folders = [root, *(at for name in LIST_FOLDERS for at in _below(root, name))]
    found = [[path for path in _lists_in(at) if not _names_two(path)] for at in folders]
    return [paths for paths in found if paths]


def _below(root: Path, name: str) -> list[Path]:
    """The folder of that name, upper and lower case taken for the same."""
    found = [root]
    for part in name.lower().split("/"):
        found = [at for above in found for at in sub_folders(above) if at.name.lower() == part]
    return found


def _lists_in(folder: Path) -> list[Path]:
    files = files_named(folder, [f"{name}.txt" for name in LIST_NAMES])
    return [path for path in files if path.stat().st_size <= MAX_LIST_BYTES]


def _names_two(path: Path) -> bool:
    """Whether it is a list of "image label" lines; a name may hold a space too."""
    line = _first_line(path)
    words = line.split("\t") if "\t" in line else line.split()
    return len(words) == 2 and all(_has_suffix(word.strip()) for word in words)


def _first_line(path: Path) -> str:
    """The first one that is not blank."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        lines = (line.strip() for line in file.read(1 << 16).split("\n"))
        return next((line for line in lines if line), "")


def _lines(path: Path) -> list[str]:
    """A byte that is no UTF-8 becomes what it is in the name of a file. Lines end where editors end
    them: `splitlines` knows separators that a name may hold."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        text = file.read()
    if "\0" in text:
        raise InputError(f"{path} holds zero bytes, as text in UTF-16 does; save it as UTF-8")
    return text.split("\n")


def _bare_names(path: Path, root: Path) -> list[str]:
    lines = _lines(path)
    given = [line.strip().replace("\\", "/").rpartition("/")[2] for line in lines if line.strip()]
    ending = {name for name in given if _has_suffix(name)}
    bare = ending - (_stems_with_suffix(root) if ending else set())
    names = [os.path.splitext(name)[0] if name in bare else name for name in given]
    if not names:
        raise InputError(f"{path} lists no name; write some into it, or remove it")
    times = Counter(names)
    doubled = [name for name, count in times.items() if count > 1]
    if doubled:
        raise InputError(
            f"{path} lists {len(doubled)} names more than once; leave each in it once:",
            first_few(doubled),
        )
    return names


def _stems_with_suffix(root: Path) -> set[str]:
    """`scan.tif` where there is `scan.tif.png`, in the folder or one of its own, and no `scan.tif`
    itself, which a list would mean."""
    folders = (root, *sub_folders(root))
    files = {picture.name for folder in folders for picture in pictures(folder)}
    return {stem for stem, _ in map(os.path.splitext, files) if _has_suffix(stem)} - files


def _has_suffix(name: str) -> bool:
    """Whether it ends as a picture's name does; a dot in a name need not be that of a suffix."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
