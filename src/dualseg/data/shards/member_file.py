"""A member of a shard as a file that the picture readers can open, and their errors under its name.

The readers take paths, since they look at a file several times; so every rule for pictures holds in
shards as it holds for files.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dualseg.core.errors import InputError
from dualseg.data.faults import Fault, PictureError


@contextmanager
def as_file(content: bytes, origin: str) -> Iterator[Path]:
    """A path under which `content` can be read while the block runs.

    In memory where the system has such files (Linux), else in the folder for temporary ones.

    Args:
        content: The bytes.
        origin: What errors raised inside call it.
    """
    with _memory_file(content) if hasattr(os, "memfd_create") else _disk_file(content) as path:
        try:
            yield path
        except PictureError as error:
            raise PictureError(_renamed(error.fault, path, origin)) from None
        except InputError as error:
            raise InputError(str(error).replace(str(path), origin)) from None


@contextmanager
def _memory_file(content: bytes) -> Iterator[Path]:
    descriptor = os.memfd_create("member")  # closed in programs this one starts
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


@contextmanager
def _disk_file(content: bytes) -> Iterator[Path]:
    descriptor, name = tempfile.mkstemp(prefix="dualseg-")
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        yield Path(name)
    finally:
        os.unlink(name)


def _renamed(fault: Fault, path: Path, origin: str) -> Fault:
    found, fix = fault.found.replace(str(path), origin), fault.fix.replace(str(path), origin)
    return replace(fault, file=origin, found=found, fix=fix)
