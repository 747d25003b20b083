"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, everything else on stderr.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change a recipe key, for example training.lr=0.01."
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DIR_OR_NAME",
        help="A folder of images and masks, shards (a folder, 'DIR/train-{000..127}.tar', a URL), "
        "a data set's name, or NAME:DIR.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder to write to.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A run folder, a checkpoint folder or a .safetensors file."
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads; all cores where not given.")
]
Precision = Annotated[str, typer.Option("--precision", help="fp32 or bf16.")]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic", help="Only algorithms that give the same bits every time; slower."
    ),
]
