"""`dualseg data`: look at a data set before training on it."""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.console import counting, percent, print_json, print_table, say
from dualseg.cli.data_download import download
from dualseg.cli.data_look import show, stats
from dualseg.cli.options import Json
from dualseg.core.errors import InputError, nearest

app = typer.Typer(
    help="Check a data set, look at it, or make the embedded one.",
    epilog="Example: dualseg data check my-folder",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DataSource = Annotated[
    str, typer.Argument(metavar="DIR_OR_NAME", help="A folder, a data set's name, or NAME:DIR.")
]


@app.command(epilog="Example: dualseg data check my-folder")
def check(source: DataSource, json: Json = False) -> None:
    """Find every fault of the labels before training: file, value, pixels, what to do."""
    from dualseg.cli.recipes import find_data
    from dualseg.config import DataSettings
    from dualseg.data.catalog import open_splits
    from dualseg.data.checker import check_dataset
    from dualseg.data.leaks import describe_leak

    name, root = find_data(source, before="folder")
    splits = open_splits(DataSettings(name=name, root=root))
    for note in splits.notes:
        say(note)
    summaries = {}
    for dataset in (splits.train, splits.val):
        with counting(f"checking {dataset.split}") as progress:
            summaries[dataset.split] = check_dataset(dataset, progress=progress)
    leak = describe_leak(splits.train, splits.val)
    names = splits.train.labels.class_names
    if json:
        print_json(
            {
                split: {
                    "num_images": summary.num_images,
                    "pixels_per_class": dict(
                        zip(names, map(int, summary.pixels_per_class), strict=True)
                    ),
                    "ignored_share": summary.ignored_share,
                    "warnings": list(summary.warnings),
                }
                for split, summary in summaries.items()
            }
            | ({"warnings": [leak]} if leak else {})
        )
        return
    for split, summary in summaries.items():
        total = max(1, int(sum(summary.pixels_per_class)))
        rows = [
            [name, f"{pixels:,}", percent(pixels / total)]
            for name, pixels in zip(names, map(int, summary.pixels_per_class), strict=True)
        ]
        title = f"{split}: {summary.num_images} images, ignored {percent(summary.ignored_share)}"
        print_table(title, ["class", "pixels", "share"], rows)
        for warning in summary.warnings:
            say(f"warning: {split}: {warning}")
    if leak:
        say(f"warning: {leak}")


app.command(epilog="Example: dualseg data stats my-folder --out data.html")(stats)
app.command(epilog="Example: dualseg data show my-folder --out crops.png")(show)
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
