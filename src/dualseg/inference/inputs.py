"""Which image and video files the user means by files, folders and glob patterns."""

import glob
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dualseg.core.errors import InputError, first_few
from dualseg.core.words import counted
from dualseg.data.pictures.images import IMAGE_SUFFIXES
from dualseg.inference.own_results import is_marked
from dualseg.inference.written import KINDS

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"})


class _Wanted(NamedTuple):
    """What messages call it, and its suffixes."""

    name: str
    suffixes: frozenset[str]


IMAGES = _Wanted("image", IMAGE_SUFFIXES)
IMAGES_AND_VIDEOS = _Wanted("image or video", IMAGE_SUFFIXES | VIDEO_SUFFIXES)


def is_video(path: Path) -> bool:
    """By its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """Expands the inputs; each file stands once in the list, in the order given.

    A folder stands for the images directly in it, a pattern (`*`, `?`, `[...]`, `**`) for the
    images it matches, both sorted by name. Left out there, with a warning, but not where it is
    named itself, is what is no image, and what `predict` wrote of an image beside it.

    Raises:
        InputError: An input does not exist, holds no image or is no image, or two files have the
            same name before the suffix, so that their results would overwrite each other. All such
            inputs are listed.
    """
    return _found(inputs, IMAGES)


def find_inputs(inputs: Sequence[str | Path]) -> list[Path]:
    """As `find_images`, with the videos, which stand behind the images.

    Raises:
        InputError: As `find_images`.
    """
    return sorted(_found(inputs, IMAGES_AND_VIDEOS), key=is_video)


def _found(inputs: Sequence[str | Path], wanted: _Wanted) -> list[Path]:
    if not inputs:
        raise InputError(
            "no input given; name image files, folders or patterns such as 'frames/*.png'"
        )
    found: dict[Path, None] = {}
    problems = []
    for given in inputs:
        try:
            found.update(dict.fromkeys(_expand(given, wanted)))
        except InputError as error:
            problems.append(str(error))
    problems += _name_clashes(list(found))
    if problems:
        raise InputError("the inputs cannot be predicted:", problems)
    return list(found)


def _expand(given: str | Path, wanted: _Wanted) -> list[Path]:
    path = Path(given)
    if os.path.isdir(path):  # unlike pathlib's, not surprised by a name too long
        return _only_wanted(sorted(path.iterdir()), f"the folder {path}", wanted)
    if os.path.isfile(path):
        if not _is_of(wanted, path):
            raise InputError(
                f"{path} is no {wanted.name}: suffix {path.suffix or '(none)'}; allowed are "
                f"{_listed(wanted)}"
            )
        return [path]
    if glob.has_magic(str(given)):
        matches = sorted(glob.glob(str(given), recursive=True))
        return _only_wanted([Path(match) for match in matches], f"the pattern {given}", wanted)
    raise InputError(f"there is no file or folder {given}")


def _only_wanted(paths: Sequence[Path], origin: str, wanted: _Wanted) -> list[Path]:
    shown = [path for path in paths if not path.name.startswith(".") and not os.path.isdir(path)]
    found = [path for path in shown if os.path.isfile(path) and _is_of(wanted, path)]
    others = sorted(set(shown) - set(found))
    if found:
        if others:
            warnings.warn(f"{origin}: left out: {_counted(others)}", stacklevel=2)
        return _without_results(found, origin)
    there = f"but {_counted(others)}" if others else "nor any other file"
    raise InputError(f"{origin} holds no {wanted.name}, {there}; allowed are {_listed(wanted)}")


def _is_of(wanted: _Wanted, path: Path) -> bool:
    return path.suffix.lower() in wanted.suffixes


def _counted(paths: Sequence[Path]) -> str:
    """How many files of each suffix, and which links lead nowhere."""
    lost = [path.name for path in paths if not os.path.exists(path)]
    kinds = Counter(path.suffix.lower() or "(none)" for path in paths if os.path.exists(path))
    parts = [
        f"{counted(number, 'file')} with suffix {suffix}"
        for suffix, number in sorted(kinds.items())
    ]
    if lost:
        verb = "leads" if len(lost) == 1 else "lead"
        names = ", ".join(first_few(lost, 3))
        parts.append(f"{counted(len(lost), 'link')} that {verb} nowhere ({names})")
    return ", ".join(parts)


def _without_results(paths: Sequence[Path], origin: str) -> list[Path]:
    """Without what bears the name of a result of another path, and the mark of one."""
    endings = [Path(kind.suffix).stem for kind in KINDS.values()]
    there = {(path.parent, path.stem) for path in paths}

    def is_result(path: Path) -> bool:
        named = any(
            path.stem.endswith(ending) and (path.parent, path.stem.removesuffix(ending)) in there
            for ending in endings
        )
        return named and is_marked(path)

    results = {path: None for path in paths if is_result(path)}
    if results:
        names = ", ".join(first_few([path.name for path in results], 3))
        warnings.warn(
            f"{origin}: results of earlier predictions are left out: {names}", stacklevel=2
        )
    return [path for path in paths if path not in results]


def _name_clashes(paths: Sequence[Path]) -> list[str]:
    by_name: dict[str, list[Path]] = {}
    for path in paths:
        result = f"{path.stem}_overlay.mp4" if is_video(path) else f"{path.stem}_labels.png"
        by_name.setdefault(result, []).append(path)
    return [
        f"{' and '.join(map(str, same))} would both be written as {result}; "
        "predict them into different folders"
        for result, same in by_name.items()
        if len(same) > 1
    ]


def _listed(wanted: _Wanted) -> str:
    return ", ".join(sorted(wanted.suffixes))
