"""Size and SHA-256 of every file of a checkpoint, so that damage is found before it is used."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dualseg.checkpoints.json_files import read_json
from dualseg.core.errors import InputError

CHECKSUMS_FILE = "checksums.json"


def checksums(contents: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """What `checksums.json` says about files with these contents."""
    return {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    }


def find_damage(folder: Path, names: tuple[str, ...]) -> str | None:
    """The first fault of a checkpoint folder, in words; None where every file is as it was written.

    Args:
        folder: A folder with `checksums.json`.
        names: Files that must be listed there, and are compared.
    """
    try:
        listed = read_json(folder / CHECKSUMS_FILE)
    except InputError as error:
        return str(error)
    for name in names:
        entry = listed.get(name)
        if not isinstance(entry, dict):
            return f"{CHECKSUMS_FILE} says nothing about {name}"
        fault = _compare(folder / name, entry)
        if fault:
            return fault
    return None


def _compare(path: Path, entry: Mapping[str, Any]) -> str | None:
    try:
        size = path.stat().st_size
        if size != entry.get("bytes"):
            return f"{path.name} has {size:,} bytes, {entry.get('bytes'):,} were written"
        if sha256_of(path) != entry.get("sha256"):
            return f"{path.name} has changed since it was written (SHA-256 differs)"
    except (OSError, TypeError, ValueError) as error:
        return f"{path.name} cannot be read: {getattr(error, 'strerror', None) or error}"
    return None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
