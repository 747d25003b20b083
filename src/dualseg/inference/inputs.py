"""Which image files the user means by files, folders and glob patterns."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from dualseg.core.errors import InputError
from dualseg.data.pictures.images import IMAGE_SUFFIXES


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """Expands the inputs; each file stands once in the list, in the order given.

    A folder stands for the images directly in it, a pattern (`*`, `?`, `[...]`, `**`) for the
    images it matches, both sorted by name. What is no image is left out there, but not where it is
    named itself.

    Raises:
        InputError: An input does not exist, holds no image or is no image, or two files have the
            same name before the suffix, so that their results would overwrite each other. All such
            inputs are listed.
    """
    if not inputs:
        raise InputError(
            "no input given; name image files, folders or patterns such as 'frames/*.png'"
        )
    found: dict[Path, None] = {}
    problems = []
    for given in inputs:
        try:
            found.update(dict.fromkeys(_expand(given)))
        except InputError as error:
            problems.append(str(error))
    problems += _name_clashes(list(found))
    if problems:
        raise InputError("the inputs cannot be predicted:", problems)
    return list(found)


def _expand(given: str | Path) -> list[Path]:
    path = Path(given)
    if os.path.isdir(path):  # unlike pathlib's, not surprised by a name too long
        return _only_images(sorted(path.iterdir()), f"the folder {path}")
    if os.path.isfile(path):
        if not _is_image(path):
            raise InputError(
                f"{path} is no image: suffix {path.suffix or '(none)'}; allowed are {_suffixes()}"
            )
        return [path]
    if glob.has_magic(str(given)):
        matches = sorted(glob.glob(str(given), recursive=True))
        return _only_images([Path(match) for match in matches], f"the pattern {given}")
    raise InputError(f"there is no file or folder {given}")


def _only_images(paths: Sequence[Path], origin: str) -> list[Path]:
    files = [path for path in paths if path.is_file() and not path.name.startswith(".")]
    images = [path for path in files if _is_image(path)]
    if images:
        return images
    others = sorted({path.suffix or "(none)" for path in files})
    instead = f"{len(files)} files with suffix {', '.join(others)}" if files else "no file at all"
    raise InputError(f"{origin} holds no image but {instead}; allowed are {_suffixes()}")


def _name_clashes(paths: Sequence[Path]) -> list[str]:
    by_name: dict[str, list[Path]] = {}
    for path in paths:
        by_name.setdefault(path.stem, []).append(path)
    return [
        f"{' and '.join(map(str, same))} would both be written as {name}_labels.png; "
        "predict them into different folders"
        for name, same in by_name.items()
        if len(same) > 1
    ]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _suffixes() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))
