"""What the commands of `dualseg data` share: the data set's argument."""

from typing import Annotated

import typer

DataSource = Annotated[
    str, typer.Argument(metavar="DIR_OR_NAME", help="A folder, a data set's name, or NAME:DIR.")
]
