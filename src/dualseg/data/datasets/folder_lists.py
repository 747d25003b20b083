"""Pairs that lists name (a CSV, or train.txt and val.txt), and pairs side by side in one folder."""

import csv
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from dualseg.core.errors import InputError, first_few
from dualseg.data.dataset import Pair
from dualseg.data.datasets.folder_listing import pictures
from dualseg.data.datasets.folder_names import looks_like_mask, match_names
from dualseg.data.pictures.images import IMAGE_SUFFIXES

IMAGE_COLUMNS = ("image", "images", "image_path", "img")
MASK_COLUMNS = ("mask", "label", "mask_path", "label_path", "annotation")
SPLIT_NAMES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
LIST_FOLDERS = ("ImageSets/Segmentation", "ImageSets", "splits", "lists")
MAX_LIST_BYTES = 1 << 28

Pairs = dict[str, tuple[Pair, ...]]
Listed = dict[Path, tuple[str, list[str]]]


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
            out of the folder, or an image stands twice.
    """
    tables = [path for path in sorted(root.glob("*.csv")) if _header(path) is not None]
    lists = [path for path in (root / "train.txt", root / "val.txt") if _names_two(path)]
    if len(tables) + bool(lists) > 1:
        found = ", ".join(path.name for path in [*tables, *lists])
        raise InputError(f"{root} holds several lists of pairs: {found}; keep one kind of them")
    if tables:
        rows, note = _table_rows(tables[0]), f"pairs: as {tables[0].name} lists them"
    elif lists:
        rows = [row for path in lists for row in _list_rows(path)]
        note = f"pairs: as {' and '.join(path.name for path in lists)} list them"
    else:
        return None
    pairs, missing = _pairs(root, rows, allow_missing)
    return pairs, [note, *missing]


def read_name_lists(root: Path) -> Listed | None:
    """Lists of names alone, as PASCAL VOC has them; None where there are none.

    Args:
        root: Holds train.txt and val.txt, or a folder of one of `LIST_FOLDERS` does.

    Returns:
        File -> its split, and the names in it without folder and file suffix.

    Raises:
        InputError: A name stands twice in a list.
    """
    for folder in (root, *(root / name for name in LIST_FOLDERS)):
        found = {
            folder / f"{name}.txt": SPLIT_NAMES.get(name, name)
            for name in ("train", "val", "test", *SPLIT_NAMES)
            if _names_one(folder / f"{name}.txt")
        }
        if found:
            return {path: (split, _bare_names(path)) for path, split in found.items()}
    return None


def find_side_by_side(root: Path, *, allow_missing: bool = False) -> tuple[Pairs, list[str]] | None:
    """Pairs such as a.jpg and a_mask.png in the folder itself; None where there are none.

    Args:
        root: The folder.
        allow_missing: Whether files without a partner are left out, with a note.

    Returns:
        Pairs by split, and notes.

    Raises:
        InputError: An image or a mask has no partner, or several.
    """
    files = pictures(root)
    masks = {path.stem: path for path in files if looks_like_mask(path.stem)}
    if not masks:
        return None
    images = {path.stem: path for path in files if path.stem not in masks}
    mask_of, alone, doubled = match_names(list(images), list(masks))
    missing = [f"{masks[mask].name} belongs to 0 images" for mask in alone]
    missing += [f"{images[stem].name} has 0 masks" for stem in images if stem not in mask_of]
    faults = [] if allow_missing else missing
    faults += [f"{masks[mask].name} belongs to an image that has several" for mask in doubled]
    stems = [path.stem for path in files]
    faults += [f"{path.name} shares its name" for path in files if stems.count(path.stem) > 1]
    if faults:
        raise InputError(f"images and masks in {root} do not fit together:", first_few(faults))
    pairs = tuple(Pair(stem, images[stem], masks[mask_of[stem]]) for stem in sorted(mask_of))
    note = f"pairs: images and masks lie side by side ({next(iter(masks.values())).name})"
    return {"train": pairs}, [note, *_left_out(missing)]


def inside(root: Path, given: str) -> Path:
    """A path that a file of the data set names, below the folder.

    Raises:
        InputError: It is absolute, or leads out of the folder.
    """
    text = given.strip().replace("\\", "/")
    parts = text.split("/")
    if not text or text.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in text:
        raise InputError(f"path {given!r} leads out of {root}; name files relative to the folder")
    return root / text


def _pairs(
    root: Path, rows: Iterable[tuple[str, str, str, str]], allow_missing: bool
) -> tuple[Pairs, list[str]]:
    splits: dict[str, list[Pair]] = {}
    faults: list[str] = []
    left_out: list[str] = []
    seen: dict[str, str] = {}
    for where, split, image, mask in rows:
        try:
            files = inside(root, image), inside(root, mask)
        except InputError as error:
            faults.append(f"{where}: {error}")
            continue
        missing = [f"{where}: there is no {f.relative_to(root)}" for f in files if not f.is_file()]
        if missing and allow_missing:
            left_out += missing
            continue
        faults += missing
        name = files[0].relative_to(root).with_suffix("").as_posix()
        if name in seen:
            faults.append(f"{where}: image {name} stands in {seen[name]} too")
        seen[name] = where
        splits.setdefault(split, []).append(Pair(name, *files))
    if faults:
        raise InputError(f"the lists of {root} have {len(faults)} faults:", first_few(faults))
    return {split: tuple(pairs) for split, pairs in splits.items()}, _left_out(left_out)


def _left_out(missing: list[str]) -> list[str]:
    return [f"left out: {line}" for line in first_few(missing)]


def _table_rows(path: Path) -> list[tuple[str, str, str, str]]:
    header = _header(path) or {}
    rows = []
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        lines = csv.reader(file)
        next(lines)
        for number, row in enumerate(lines, start=2):
            if not row:
                continue
            if len(row) <= max(header.values()):
                raise InputError(f"{path}, row {number} has {len(row)} columns; it lacks some")
            split = row[header["split"]].strip().lower() if "split" in header else "train"
            where = f"{path.name}, row {number}"
            named = SPLIT_NAMES.get(split, split)
            rows.append((where, named, row[header["image"]], row[header["mask"]]))
    return rows


def _header(path: Path) -> dict[str, int] | None:
    """Which column holds image, mask and split; None if it is another kind of table."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        first = file.readline(1 << 16)
    names = [name.strip().lower() for name in next(csv.reader([first]), [])]
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


def _names_two(path: Path) -> bool:
    """Whether it is a list of "image label" lines; a name may hold a space too."""
    if not path.is_file() or path.stat().st_size > MAX_LIST_BYTES:
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        words = file.readline(1 << 16).split()
    return len(words) == 2 and all(Path(word).suffix.lower() in IMAGE_SUFFIXES for word in words)


def _names_one(path: Path) -> bool:
    """Whether it is a list of names."""
    return path.is_file() and path.stat().st_size <= MAX_LIST_BYTES and not _names_two(path)


def _bare_names(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    given = [line.strip().replace("\\", "/").rpartition("/")[2] for line in lines if line.strip()]
    names = [_without_suffix(name) for name in given]
    times = Counter(names)
    doubled = [name for name, count in times.items() if count > 1]
    if doubled:
        raise InputError(
            f"{path} lists {len(doubled)} names more than once; leave each in it once:",
            first_few(doubled),
        )
    return names


def _without_suffix(name: str) -> str:
    """A dot in a name need not be that of a suffix."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


def _list_rows(path: Path) -> list[tuple[str, str, str, str]]:
    rows = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if words and len(words) != 2:
            raise InputError(f'{path}, line {number}: expected "image label", got {line!r}')
        if words:
            rows.append((f"{path.name}, line {number}", path.stem, words[0], words[1]))
    return rows
