"""Options that several commands share."""

import re
from pathlib import Path
from typing import Annotated

import typer

from dualseg.core.errors import InputError
from dualseg.core.file_names import with_ending
from dualseg.core.threads import MAX_THREADS

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
        metavar="MODEL",
        help="A run folder, a checkpoint folder, a .safetensors file or hf://OWNER/NAME.",
    ),
]
ModelOrExported = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A run folder, a checkpoint folder, a .safetensors file, an exported file (.onnx, "
        ".xml, .pt2) or hf://OWNER/NAME.",
    ),
]
AllowMissing = Annotated[
    bool,
    typer.Option(
        "--allow-missing",
        help="Leave out a folder's images and masks without a partner; allow_missing: true in its "
        "dataset.yaml does the same.",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, max=MAX_THREADS, help="CPU threads; all cores where not given."
    ),
]
Runtime = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        help="Of an exported file: eager, compiled, openvino, onnxruntime, or auto (the fastest "
        "here, measured once); else the one it was made for.",
    ),
]
Precision = Annotated[str, typer.Option("--precision", help="fp32 or bf16.")]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic", help="Only algorithms that give the same bits every time; slower."
    ),
]


def read_size(option: str, text: str | None) -> tuple[int, int] | None:
    """Height and width from a text like 360x480.

    Raises:
        InputError: It is none, or a side is 0; `option` is the name the message gives.
    """
    if text is None:
        return None
    match = re.fullmatch(r"0*([1-9]\d{0,5})x0*([1-9]\d{0,5})", text.strip().lower())
    if match is None:
        raise InputError(
            f"{option} {text!r} is no size; give height x width in pixels, such as 360x480"
        )
    return int(match[1]), int(match[2])


def require_place(option: str, file: Path) -> None:
    """Refuses a file that could not be written, before the work rather than after it.

    Raises:
        InputError: It is a folder, or its folder does not exist; `option` is the name the message
            gives.
    """
    if file.is_dir():
        raise InputError(f"{option} {file} is a folder; name a file in it")
    if not file.parent.is_dir():
        raise InputError(f"{option} {file}: there is no folder {file.parent}; make it first")


def require_file_name(option: str, out: Path, *endings: str, kind: str) -> None:
    """Refuses a file that could not be written, before long work rather than after it.

    Args:
        option: What it was given by.
        out: The file.
        endings: Allowed ends of the name, the usual one first.
        kind: What is written, for the message: "the report is JSON".

    Raises:
        InputError: It ends otherwise, is a folder, or its folder does not exist.
    """
    require_place(option, out)
    if out.suffix.lower() not in endings:
        raise InputError(f"{option} {out}: {kind}; name it {with_ending(out, endings[0])}")
