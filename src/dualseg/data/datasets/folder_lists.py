"""Pairs that lists name (a CSV, or train.txt and val.txt), and pairs side by side in one folder."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from dualseg.core.errors import InputError, first_few
from dualseg.data.dataset import Pair
from dualseg.data.images import IMAGE_SUFFIXES

IMAGE_COLUMNS = ("image", "images", "image_path", "img")
MASK_COLUMNS = ("mask", "label", "mask_path", "label_path", "annotation")
SPLIT_NAMES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
MAX_LIST_BYTES = 1 << 28

Pairs = dict[str, tuple[Pair, ...]]


def read_listed_pairs(root: Path) -> tuple[Pairs, str] | None:
    """Pairs that a CSV or list files in the folder name; None where there are none.

    Args:
        root: May hold one CSV with the columns image and mask (and split), or train.txt and val.txt
            with "image label" on each line, as paths below the folder.

    Returns:
        Pairs by split, and a note.

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
    return _pairs(root, rows), note


def find_side_by_side(root: Path, suffixes: Sequence[str]) -> tuple[Pairs, str] | None:
    """Pairs such as a.jpg and a_mask.png in the folder itself; None where there are none.

    Raises:
        InputError: An image or a mask has no partner, or several.
    """
    files = [path for path in sorted(root.iterdir()) if _is_picture(path)]
    masks = [path for path in files if path.stem.endswith(tuple(suffixes))]
    if not masks:
        return None
    images = [path for path in files if path not in set(masks)]
    partners: dict[Path, list[Path]] = {image: [] for image in images}
    faults = []
    for mask in masks:
        bare = {mask.stem.removesuffix(suffix) for suffix in suffixes} - {mask.stem}
        found = [image for image in images if image.stem in bare]
        if len(found) != 1:
            faults.append(f"{mask.name} belongs to {len(found)} images")
        for image in found:
            partners[image].append(mask)
    faults += [f"{i.name} has {len(m)} masks" for i, m in partners.items() if len(m) != 1]
    if faults:
        raise InputError(f"images and masks in {root} do not fit together:", first_few(faults))
    pairs = tuple(Pair(image.stem, image, found[0]) for image, found in partners.items())
    return {"train": pairs}, f"pairs: images and masks lie side by side ({masks[0].name})"


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


def _pairs(root: Path, rows: Iterable[tuple[str, str, str, str]]) -> Pairs:
    splits: dict[str, list[Pair]] = {}
    faults: list[str] = []
    seen: dict[str, str] = {}
    for where, split, image, mask in rows:
        try:
            files = inside(root, image), inside(root, mask)
        except InputError as error:
            faults.append(f"{where}: {error}")
            continue
        faults += [f"{where}: there is no {f.relative_to(root)}" for f in files if not f.is_file()]
        name = files[0].relative_to(root).with_suffix("").as_posix()
        if name in seen:
            faults.append(f"{where}: image {name} stands in {seen[name]} too")
        seen[name] = where
        splits.setdefault(split, []).append(Pair(name, *files))
    if faults:
        raise InputError(f"the lists of {root} have {len(faults)} faults:", first_few(faults))
    return {split: tuple(pairs) for split, pairs in splits.items()}


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
    """Whether it is a list of "image label" lines."""
    if not path.is_file() or path.stat().st_size > MAX_LIST_BYTES:
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return len(file.readline(1 << 16).split()) == 2


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


def _is_picture(path: Path) -> bool:
    named = path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    return named and path.is_file()
