"""`dualseg data`: look at a data set before training on it."""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.console import print_json
from dualseg.cli.data_check import check
from dualseg.cli.data_convert import convert
from dualseg.cli.data_download import download
from dualseg.cli.data_look import show, stats
from dualseg.cli.options import Json
from dualseg.core.errors import InputError, nearest

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


@app.command(epilog="Example: dualseg data make streets --out streets")
def make(
    name: Annotated[str, typer.Argument(help="streets")],
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
    json: Json = False,
) -> None:
    """Write the embedded street scenes as a folder of images and masks."""
    from dualseg.data.datasets.streets import write_streets

    if name != "streets":
        raise InputError(f"{name!r} cannot be made; {nearest(name, ['streets'])}")
    if out.exists():
        raise InputError(f"{out} exists; choose a new folder")
    write_streets(out)
    if json:
        print_json({"out": str(out)})
    else:
        print(out)
