"""`dualseg data`: look at a data set before training on it."""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.console import counting, print_json
from dualseg.cli.data_check import check
from dualseg.cli.data_convert import convert
from dualseg.cli.data_download import download
from dualseg.cli.data_look import show, stats
from dualseg.cli.options import Json
from dualseg.core.errors import InputError, nearest

STREETS = "streets"

app = typer.Typer(
    help="Check a data set, look at it, convert it, or make the embedded one.",
    epilog="Example: dualseg data check my-folder",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command(epilog="Example: dualseg data check my-folder --out report.json")(check)
app.command(epilog="Example: dualseg data stats my-folder --out data.html")(stats)
app.command(epilog="Example: dualseg data show my-folder --out crops.png")(show)
app.command(epilog="Example: dualseg data convert my-folder --to coco --out my-coco")(convert)
app.command(epilog="Example: dualseg data download voc --out voc")(download)


@app.command(epilog="Example: dualseg data make my-streets")
def make(
    name: Annotated[
        str,
        typer.Argument(
            metavar="DIR",
            help="A new folder; or the set's name, streets, with the folder as --out.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="A new folder; DIR is the set's name then.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the embedded street scenes, streets, as a folder of images and masks."""
    from dualseg.data.datasets.streets import write_streets

    folder = _new_folder(name, out)
    with counting("drawing streets") as progress:
        write_streets(folder, progress=progress)
    if json:
        print_json({"out": str(folder)})
    else:
        print(folder)


def _new_folder(name: str, out: Path | None) -> Path:
    """`streets --out DIR`, or DIR alone: there is but one set."""
    if out is None and name == STREETS:
        raise InputError(
            f"{STREETS} is the name of the set; say where to: dualseg data make {STREETS} --out DIR"
        )
    if out is not None and name != STREETS:
        raise InputError(f"{name!r} cannot be made; {nearest(name, [STREETS])}")
    folder = Path(name) if out is None else out
    if folder.exists():
        raise InputError(f"{folder} exists; choose a new folder")
    return folder
