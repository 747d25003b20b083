"""Pairs that lists name: a CSV, or train.txt and val.txt."""

import csv
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PureWindowsPath

from dualseg.core.errors import InputError, first_few
from dualseg.data.dataset import Pair, Pairs
from dualseg.data.datasets.dataset_yaml import LEAVE_OUT
from dualseg.data.datasets.folder_listing import files_ending
from dualseg.data.datasets.folder_text_lists import (
    MAX_LIST_BYTES,
    Row,
    pair_lists,
    pair_rows,
    split_named,
    unread_lists,
)
from dualseg.data.faults import DatasetError, Fault

IMAGE_COLUMNS = ("image", "images", "image_path", "img")
MASK_COLUMNS = ("mask", "label", "mask_path", "label_path", "annotation")
DELIMITERS = ",;\t"


def read_listed_pairs(root: Path, *, allow_missing: bool = False) -> tuple[Pairs, list[str]] | None:
    """Pairs that a CSV or list files in the folder name; None where there are none.

    Args:
        root: May hold one CSV with the columns image and mask (and split), or train.txt and val.txt
            with "image label" on each line, as paths below the folder.
        allow_missing: Whether rows that name a missing file are left out, with a note.

    Returns:
        Pairs by split, and notes.

    Raises:
        InputError: There are several CSV files, or lists of both kinds, a path is missing or leads
            out of the folder, an image stands twice, a row names no split, or a quote stays open.
    """
    tables = [path for path in files_ending(root, ".csv") if _header(path) is not None]
    lists, unread = pair_lists(root)
    if len(tables) + bool(lists) > 1:
        found = ", ".join(path.name for path in [*tables, *lists])
        raise InputError(f"{root} holds several lists of pairs: {found}; keep one kind of them")
    if tables:
        rows, note = _table_rows(tables[0]), f"pairs: as {tables[0].name} lists them"
        unread = unread_lists(root)
        if not rows:
            raise InputError(f"{tables[0]} lists no pair; add rows, or remove it")
    elif lists:
        rows = pair_rows(lists)
        note = f"pairs: as {' and '.join(path.name for path in lists)} list them"
    else:
        return None
    pairs, missing = _pairs(root, rows, allow_missing)
    return pairs, [note, *unread, *missing]


def unread_tables(root: Path) -> list[str]:
    """Notes on CSV files without the columns that would make them lists of pairs."""
    return [
        f"not read: {path.name}, whose first line does not name the columns image and mask"
        for path in files_ending(root, ".csv")
        if _header(path) is None
    ]


def inside(root: Path, given: str) -> Path:
    """A path that a file of the data set names, below the folder.

    Of an accent, a list may make one sign and the file's name two, or the other way round: then it
    is the path as the file is called.

    Raises:
        InputError: It is absolute, or leads out of the folder.
    """
    text = given.replace("\\", "/")
    is_absolute = text.startswith("/") or PureWindowsPath(text).drive
    if not text.strip() or is_absolute or ".." in text.split("/") or "\0" in text:
        raise InputError(
            f"path {given!r} is absolute or leads out of {root}; name files relative to the folder"
        )
    path = root / text
    if text.isascii() or path.exists():
        return path
    others = (root / unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    return next((other for other in others if other.exists()), path)


def _pairs(root: Path, rows: Iterable[Row], allow_missing: bool) -> tuple[Pairs, list[str]]:
    splits: dict[str, list[Pair]] = {}
    faults: list[Fault] = []
    gone: list[str] = []
    seen: dict[str, tuple[str, Path]] = {}
    num_bare = 0
    for where, split, image, mask in rows:
        if split == "test" and not mask.strip():  # labels of test images are often kept back
            num_bare += 1
            continue
        try:
            files = inside(root, image.strip()), inside(root, mask.strip())
        except InputError as error:
            faults.append(_fault(where, str(error), "correct the list"))
            continue
        if not split:
            fix = "write train, val or test, or leave the column out"
            faults.append(_fault(where, "its split is blank", fix))
        missing = [f"there is no {f.relative_to(root)}" for f in files if not f.is_file()]
        gone += [f"{where}: {line}" for line in missing]
        if missing and allow_missing:
            continue
        faults += [_fault(where, line, LEAVE_OUT) for line in missing]
        name = files[0].relative_to(root).with_suffix("").as_posix()
        if name in seen:
            faults.append(_twice(where, name, files[0], *seen[name]))
        seen[name] = where, files[0]
        splits.setdefault(split, []).append(Pair(name, *files))
    if faults:
        raise DatasetError(f"the lists of {root} have faults:", faults)
    return {split: tuple(pairs) for split, pairs in splits.items()}, [
        *_bare(num_bare),
        *_left_out(gone),
    ]


def _fault(where: str, found: str, fix: str) -> Fault:
    file, _, row = where.partition(", ")
    return Fault("E100", file, f"{row}: {found}", "", fix)


def _twice(where: str, name: str, image: Path, before: str, other: Path) -> Fault:
    """One image in two rows, or two images that differ in their suffix alone."""
    if image == other:
        return _fault(where, f"image {name} stands in {before} too", "leave it in once")
    found = f"image {image.name} has the name of {other.name} in {before}, but for its suffix"
    return _fault(where, found, "rename one of them")


def _bare(count: int) -> list[str]:
    return [f"split: {count} rows of test name no mask and are left out"] if count else []


def _left_out(missing: list[str]) -> list[str]:
    return [f"left out: {line}" for line in first_few(missing)]


def _table_rows(path: Path) -> list[Row]:
    header, rows = _header(path) or {}, []
    for number, row in _numbered_rows(path):
        if not row or number == 1:
            continue
        if len(row) <= max(header.values()):
            raise InputError(
                f"{path}, row {number} has {len(row)} of {max(header.values()) + 1} columns "
                f"({', '.join(header)}); complete it, or remove it"
            )
        split = row[header["split"]].strip().lower() if "split" in header else "train"
        where = f"{path.name}, row {number}"
        rows.append((where, split_named(split), row[header["image"]], row[header["mask"]]))
    return rows


def _numbered_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each row with its number from 1 on; a quote that stays open would swallow the rows below."""
    number = 0
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        rows = csv.reader(file, delimiter=_delimiter(path), strict=True)
        try:
            for number, row in enumerate(rows, start=1):
                yield number, row
        except csv.Error as error:
            raise InputError(
                f"{path}, row {number + 1} cannot be read ({error}); close its quotation marks"
            ) from None


def _header(path: Path) -> dict[str, int] | None:
    """Which column holds image, mask and split; None if it is another kind of table."""
    names = _column_names(path)
    found = {
        kind: names.index(name)
        for kind, known in (("image", IMAGE_COLUMNS), ("mask", MASK_COLUMNS), ("split", ("split",)))
        for name in known
        if name in names
    }
    if not {"image", "mask"} <= set(found):
        return None
    if path.stat().st_size > MAX_LIST_BYTES:
        raise InputError(f"{path} is larger than {MAX_LIST_BYTES >> 20} MiB, too much for a list")
    return found


def _column_names(path: Path) -> list[str]:
    first = csv.reader([_first_line(path)], delimiter=_delimiter(path))
    return [name.strip().lower() for name in next(first, [])]


def _delimiter(path: Path) -> str:
    """The one that stands most often in the first line: a comma, semicolon or tab."""
    return max(DELIMITERS, key=_first_line(path).count)


def _first_line(path: Path) -> str:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        return file.readline(1 << 16).replace("\0", "")  # UTF-16 has some; it is no list then
