"""`dualseg data download`: a published data set, where its licence lets a program fetch it."""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.console import counting, print_json, say
from dualseg.cli.options import Json


def download(
    name: Annotated[str, typer.Argument(help="voc, sbd, voc_aug or ade20k.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
    json: Json = False,
) -> None:
    """Fetch a data set, check its SHA-256 and unpack it; a broken download goes on."""
    from dualseg.data.downloading.downloads import download_dataset, find_download

    download = find_download(name)
    total = sum(file.num_bytes for file in download.files)
    say(f"terms: {download.terms}")
    say(f"fetching {total / 1e9:.1f} GB from {', '.join(file.url for file in download.files)}")
    with counting(f"fetching {name}") as progress:
        download_dataset(name, out, progress=progress)
    if json:
        print_json({"name": name, "out": str(out), "terms": download.terms})
        return
    print(out)
    say(f"train on it with: dualseg train --set data.name={name} --data {out}")
