"""A command that many processes run together speaks with one voice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from dualseg.cli.console import say
from dualseg.core.errors import InputError

if TYPE_CHECKING:
    from dualseg.core.processes import Processes


def require_one_process(command: str) -> None:
    """For commands that train several networks one after the other.

    Raises:
        InputError: torchrun started this process as one of several.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            f"{command} runs in one process; leave torchrun out, or start each training with "
            "`torchrun ... -m dualseg train`"
        )


@contextmanager
def one_voice() -> Iterator[Processes]:
    """Joins the processes torchrun started, for the time of a command.

    The process whose fault it is tells why; the others leave silently with its exit code.
    """
    from dualseg.core.processes import OtherProcessFailedError, joined_processes

    try:
        with joined_processes() as processes:
            yield processes
    except OtherProcessFailedError as failure:
        if not failure.is_known:
            say(f"error: {failure}")
        raise typer.Exit(failure.exit_code) from None
