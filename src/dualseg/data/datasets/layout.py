"""Official data sets: places to look in, and one message where something is missing."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dualseg.core.errors import InputError, first_few, nearest
from dualseg.data.dataset import Pair


@dataclass(frozen=True)
class Layout:
    """Where a data set's files lie, and where they come from: what every message says.

    Args:
        title: The data set's name.
        homes: Folders below the user's in which it may lie; "." is the user's own.
        tree: Folders and files that are expected, in one line.
        origin: Where to get it, and on which terms.
    """

    title: str
    homes: tuple[str, ...]
    tree: str
    origin: str

    def find(self, root: Path, *needed: str) -> Path:
        """The home in `root` that holds everything needed.

        Args:
            root: The user's folder.
            needed: Paths below a home.

        Raises:
            InputError: No home holds all of it; what is missing in the fullest one is named.
        """
        homes = [root / home for home in self.homes if (root / home).is_dir()] or [root]
        missing = [[name for name in needed if not (home / name).exists()] for home in homes]
        fullest = min(range(len(homes)), key=lambda number: len(missing[number]))
        if missing[fullest]:
            others = [home for home in self.homes if home != "." and root / home not in homes]
            nor = f", and no {' or '.join(others)} in {root}" if others else ""
            raise self.error(f"no {', no '.join(missing[fullest])} in {homes[fullest]}{nor}")
        return homes[fullest]

    def find_any(self, root: Path, *wanted: str) -> Path:
        """The first of several paths, in whichever home it is.

        Args:
            root: The user's folder.
            wanted: Paths below a home that mean the same, the official one first.

        Raises:
            InputError: None of them is there.
        """
        for home in self.homes:
            for name in wanted:
                if (root / home / name).exists():
                    return root / home / name
        homes = [home for home in self.homes if home != "."]
        below = f" (nor in {' or '.join(homes)})" if homes else ""
        raise self.error(f"no {' and no '.join(wanted)} in {root}{below}")

    def require_split(
        self, split: str, known: Sequence[str], *, refused: Mapping[str, str] | None = None
    ) -> None:
        """Refuses a split that is not there.

        Args:
            split: What the user asked for.
            known: Splits that can be opened.
            refused: Splits that exist and cannot be used -> why.

        Raises:
            InputError: It is none of the known ones.
        """
        if split in known:
            return
        reason = (refused or {}).get(split)
        if reason is not None:
            raise InputError(
                f"{self.title}: the split {split!r} is not opened: {reason}; "
                f"use {' or '.join(known)}"
            )
        raise InputError(f"{self.title} has no split {split!r}; {nearest(split, known)}")

    def require_files(self, pairs: Iterable[Pair], *, named_by: Path) -> tuple[Pair, ...]:
        """The pairs, when all their files are there; each folder is listed once.

        Args:
            pairs: What will be opened.
            named_by: The list file or folder that names them.

        Raises:
            InputError: There is no pair, or files are missing; all of them are counted.
        """
        pairs = tuple(pairs)
        if not pairs:
            raise self.error(f"{named_by} names no image")
        folders = {path.parent for pair in pairs for path in (pair.image, pair.label)}
        present = {folder: _names_in(folder) for folder in folders}
        wanted = dict.fromkeys(path for pair in pairs for path in (pair.image, pair.label))
        absent = [str(path) for path in wanted if path.name not in present[path.parent]]
        if absent:
            raise self.error(
                f"{len(absent)} files that {named_by} asks for are missing", first_few(absent)
            )
        return pairs

    def error(self, fault: str, problems: Sequence[str] = ()) -> InputError:
        """The one message: what is wrong, what is expected, where to get it."""
        ending = ":" if problems else ""
        return InputError(
            f"{self.title}: {fault}. Expected: {self.tree}. Get it from {self.origin}{ending}",
            problems,
        )


def read_lines(path: Path) -> list[str]:
    """Lines of a list file that are not empty.

    Raises:
        InputError: It cannot be read, or is no UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text ({error}); save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    return [line.strip() for line in lines if line.strip()]


def read_names(path: Path) -> list[str]:
    """Image names of a list file: the first column without folders and suffix, each once."""
    return list(dict.fromkeys(Path(line.split()[0]).stem for line in read_lines(path)))


def _names_in(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()
