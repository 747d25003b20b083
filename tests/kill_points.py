"""Kills a process at each of its dealings with files, one after the other.

The process is a fork of the test's, so that a life costs little. Python tells of every opening,
renaming and removing before it happens (audit events): the nth life dies just before its nth. A
file that is opened to be written counts twice: before, and when it is open and still empty.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def dies_at(number: int, folder: Path, work: Callable[[], object]) -> bool:
    """Does the work in a life that ends before its so-manieth change of something in `folder`.

    Args:
        number: From 1 on.
        folder: Changes elsewhere do not count.
        work: What is done.

    Returns:
        Whether there was such a change; if not, the work was done to its end.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _count_down(number, str(folder))
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), "the work ended in an error"
    return code != 0


def _count_down(number: int, folder: str) -> None:
    left, is_mine = number, False

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left, is_mine
        if is_mine or not _is_change(event, arguments, folder):
            return
        left -= 2 if event == "open" else 1
        if left > 0:
            return
        if event == "open" and left == 0:
            is_mine = True
            path, _, flags = arguments
            os.open(path, os.O_WRONLY | os.O_CREAT | flags & os.O_TRUNC, 0o644)
        os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(heard)


def _is_change(event: str, arguments: tuple[Any, ...], folder: str) -> bool:
    if event == "open":
        path, _, flags = arguments
        return bool(flags & WRITING) and _lies_in(path, folder)
    if event not in CHANGES:
        return False
    # Inside of a removed tree names are given relative to a descriptor; a link's own is the second.
    is_inside = arguments[-1] not in (-1, None)
    return is_inside or any(_lies_in(argument, folder) for argument in arguments[:2])


def _lies_in(path: Any, folder: str) -> bool:
    return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(folder)
