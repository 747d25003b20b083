"""What lies in a folder, listed fast enough for a hundred thousand files."""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dualseg.core.errors import InputError, first_few
from dualseg.data.pictures.images import IMAGE_SUFFIXES

OTHER_PICTURES = frozenset({".gif", ".jfif", ".jpe", ".jp2", ".jxl", ".heic", ".heif", ".avif"}) | {
    *{".pbm", ".pgm", ".pnm", ".ppm", ".tga", ".psd", ".svg", ".exr", ".hdr"},
    *{".arw", ".cr2", ".dng", ".nef"},
}


def pictures(folder: Path) -> list[Path]:
    """Files of the folder itself that are named as pictures, by name; hidden ones are left out.

    A link counts even where it leads nowhere: a check tells.
    """
    with _entries(folder) as entries:
        names = [entry.name for entry in entries if _is_picture(entry)]
    return [folder / name for name in sorted(names)]


def sub_folders(folder: Path) -> list[Path]:
    """Folders in the folder, by name."""
    with _entries(folder) as entries:
        names = [entry.name for entry in entries if _is_folder(entry)]
    return [folder / name for name in sorted(names)]


def holds_pictures(folder: Path) -> bool:
    """Whether there is one in the folder or below it; links to folders are not followed."""
    with _entries(folder) as entries:
        below = []
        for entry in entries:
            if _is_picture(entry):
                return True
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
    return any(holds_pictures(Path(path)) for path in below)


def unread(images: Path, read: Collection[Path] = ()) -> list[str]:
    """Notes on what an image folder holds besides the pictures that are read.

    Args:
        images: The folder.
        read: Its sub-folders that are read, in place of the pictures in itself.
    """
    others = [at.name for at in sub_folders(images) if at.name[0] != "." and at not in read]
    notes = [f"not read: sub-folders {', '.join(first_few(others))} of {images}"] if others else []
    loose = pictures(images) if read else []
    if loose:
        notes.append(f"not read: {len(loose)} pictures in {images} itself")
    with _entries(images) as entries:
        strange = sorted(entry.name for entry in entries if _is_left_out(entry.name))
    if strange:
        notes.append(
            f"not read: {len(strange)} files of {images}, hidden or of other formats than "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}: {', '.join(first_few(strange))}"
        )
    return notes


def files_named(folder: Path, names: Sequence[str]) -> list[Path]:
    """Files of the names, in their order, upper and lower case taken for the same."""
    with _entries(folder) as entries:
        found = [entry.name for entry in entries if entry.name.lower() in names]
    found.sort(key=lambda name: (names.index(name.lower()), name))
    return [folder / name for name in found if (folder / name).is_file()]


def files_ending(folder: Path, suffix: str) -> list[Path]:
    """Files of a suffix, upper and lower case taken for the same, by name; hidden ones are left
    out."""
    with _entries(folder) as entries:
        found = [e.name for e in entries if e.name.lower().endswith(suffix) and e.name[0] != "."]
    return [folder / name for name in sorted(found) if (folder / name).is_file()]


@contextmanager
def _entries(folder: Path) -> "Iterator[Iterator[os.DirEntry[str]]]":
    try:
        with os.scandir(folder) as entries:
            yield entries
    except PermissionError as error:
        raise InputError(
            f"{folder} cannot be listed ({error.strerror}); give yourself the right to read it"
        ) from None


def _is_picture(entry: "os.DirEntry[str]") -> bool:
    suffix = os.path.splitext(entry.name)[1].lower()
    named = suffix in IMAGE_SUFFIXES and not entry.name.startswith(".")
    return named and (entry.is_symlink() or entry.is_file())


def _is_left_out(name: str) -> bool:
    """Whether a user may take the file for one that is read; `._...` is macOS's own."""
    suffix = os.path.splitext(name)[1].lower()
    hidden = name.startswith(".") and not name.startswith("._") and suffix in IMAGE_SUFFIXES
    return hidden or (suffix in OTHER_PICTURES and not name.startswith("."))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False
