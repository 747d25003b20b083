"""What the commands of `dualseg data` share: the data set's argument, and a file to write."""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.options import require_place
from dualseg.core.errors import InputError

DataSource = Annotated[
    str, typer.Argument(metavar="DIR_OR_NAME", help="A folder, a data set's name, or NAME:DIR.")
]


def require_file_name(out: Path, *suffixes: str, kind: str) -> None:
    """Refuses a file that could not be written, before a long look at the data rather than after.

    Args:
        out: What `--out` gave.
        suffixes: Allowed ends of the name, the usual one first.
        kind: What is written, for the message: "the report is JSON".

    Raises:
        InputError: It has another suffix, is a folder, or its folder does not exist.
    """
    require_place("--out", out)
    if out.suffix.lower() not in suffixes:
        raise InputError(f"--out {out}: {kind}; name it {out.with_suffix(suffixes[0])}")
