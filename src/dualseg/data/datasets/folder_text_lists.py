"""Lists that are plain text: train.txt, val.txt and so on, of names or of "image label" lines."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dualseg.core.errors import InputError, first_few
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
    texts = [root / f"{name}.txt" for name in LIST_NAMES if _is_list(root / f"{name}.txt")]
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
    return pairs, [f"not read: {path.name}, which names no labels" for path in others]


def pair_rows(paths: Sequence[Path]) -> list[Row]:
    """Place, split, image and label of every line.

    Raises:
        InputError: A line does not hold two words.
    """
    rows = []
    for path in paths:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
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
        root: Holds train.txt and val.txt, or a folder of one of `LIST_FOLDERS` does.

    Returns:
        File -> its split, and the names in it without folder and file suffix.

    Raises:
        InputError: A list is empty, or a name stands in it twice.
    """
    for folder in (root, *(root / name for name in LIST_FOLDERS)):
        paths = [folder / f"{name}.txt" for name in LIST_NAMES]
        found = [path for path in paths if _is_list(path) and not _names_two(path)]
        if found:
            return {path: (split_named(path.stem), _bare_names(path)) for path in found}
    return None


def split_named(name: str) -> str:
    """The split that a list or a row of a table means."""
    return SPLIT_NAMES.get(name, name)


def _is_list(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= MAX_LIST_BYTES


def _names_two(path: Path) -> bool:
    """Whether it is a list of "image label" lines; a name may hold a space too."""
    line = _first_line(path)
    words = line.split("\t") if "\t" in line else line.split()
    return len(words) == 2 and all(_has_suffix(word.strip()) for word in words)


def _first_line(path: Path) -> str:
    """The first one that is not blank."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = (line.strip() for line in file.read(1 << 16).splitlines())
        return next((line for line in lines if line), "")


def _bare_names(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    given = [line.strip().replace("\\", "/").rpartition("/")[2] for line in lines if line.strip()]
    names = [os.path.splitext(name)[0] if _has_suffix(name) else name for name in given]
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


def _has_suffix(name: str) -> bool:
    """Whether it ends as a picture's name does; a dot in a name need not be that of a suffix."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
