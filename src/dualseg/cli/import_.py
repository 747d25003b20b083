"""`dualseg import`"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dualseg.cli.console import print_json, print_table, say, steps
from dualseg.cli.options import Json
from dualseg.core.errors import InputError

if TYPE_CHECKING:
    from dualseg.checkpoints.importers.catalog import ImportReport

EXAMPLE = "Example: dualseg import fcn_resnet50_coco-1167a1af.pth --out fcn.safetensors"
MAX_CLASS_FILE_BYTES = 1_000_000
CLASS_FILE_SUFFIXES = (".txt", ".csv", ".names", ".lst")


def import_(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="SRC", help="A .pth, .pt, .safetensors or the like, or a folder of the hub."
        ),
    ] = None,
    library: Annotated[
        str | None,
        typer.Option("--from", metavar="LIBRARY", help="Who wrote it; else recognised."),
    ] = None,
    arch: Annotated[
        str | None, typer.Option("--arch", help="Which of the library's networks; else recognised.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="MODEL", help="A new .safetensors file, or a new folder."),
    ] = None,
    num_classes: Annotated[
        int | None,
        typer.Option("--num-classes", min=1, help="Keep the network, start new classifiers."),
    ] = None,
    class_names: Annotated[
        str | None,
        typer.Option(
            "--class-names",
            metavar="FILE_OR_LIST",
            help="Other classes: a,b,c or a file with one a line. Known names keep their weights.",
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List libraries and their networks instead.")
    ] = False,
    json: Json = False,
) -> None:
    """Turn another library's weights into a model. Nothing in the file is ever run."""
    if listed:
        _list(json)
        return
    if source is None or out is None:
        raise InputError("give the file and where to write: dualseg import SRC --out MODEL")

    from dualseg.checkpoints.importers.catalog import import_checkpoint
    from dualseg.checkpoints.model_files import require_new_model, save_new_model

    require_new_model(out)
    with steps() as progress:
        progress(f"reading {source}", 0, None)
        model, facts, report = import_checkpoint(
            source,
            library=library,
            arch=arch,
            class_names=_read_class_names(class_names) if class_names is not None else None,
            num_classes=num_classes,
        )
        progress(f"writing {out}", 0, None)
        save_new_model(out, model, facts)
    if json:
        print_json(_to_dict(report, out))
        return
    for note in report.notes:
        say(note)
    if report.twins:
        say(
            f"note: {' and '.join(report.twins)} has the same tensors as {report.arch}; if it is "
            "that one, name it with --arch"
        )
    print_table("", ["import", ""], _rows(report))
    if report.dropped:
        rows = [[name, reason] for name, reason in report.dropped.items()]
        print_table("Not in the network", ["tensor", "why"], rows)
    print(out)


def _read_class_names(given: str) -> tuple[str, ...]:
    """Names from a file, one a line, or from the text itself, with commas between."""
    path = Path(given)
    try:
        is_file = path.is_file()
        is_folder = path.is_dir()
    except OSError:  # too long for a name
        is_file = is_folder = False
    if not is_file:
        looks_like_file = "/" in given or "\\" in given or path.suffix in CLASS_FILE_SUFFIXES
        if "," not in given and (is_folder or looks_like_file):
            raise InputError(
                f"--class-names {given}: there is no such file; give a file with one name a line, "
                "or the names as a,b,c"
            )
        names = given.split(",")
    elif path.stat().st_size > MAX_CLASS_FILE_BYTES:
        raise InputError(f"{path} is too large for a list of class names")
    else:
        names = path.read_text(encoding="utf-8", errors="replace").splitlines()
    names = tuple(name.strip() for name in names if name.strip())
    if not names:
        raise InputError(f"--class-names {given!r} holds no name; give them as a,b,c or in a file")
    return names


def _to_dict(report: "ImportReport", out: Path) -> dict[str, Any]:
    return {
        "file": str(out),
        "source": str(report.checkpoint.path),
        "sha256": report.checkpoint.sha256,
        "container": report.checkpoint.container,
        "library": report.library,
        "arch": report.arch,
        "archs_with_the_same_tensors": list(report.twins),
        "licence": report.licence,
        "parameters": report.parameters,
        "tensors": len(report.checkpoint.tensors),
        "consumed": report.consumed,
        "dropped": dict(report.dropped),
        "class_names": list(report.class_names),
        "classes_copied": None if report.copied is None else list(report.copied),
        "classes_new": list(report.new),
        "notes": list(report.notes),
    }


def _rows(report: "ImportReport") -> list[list[str]]:
    checkpoint = report.checkpoint
    tensors = f"{report.consumed} taken, {len(report.dropped)} dropped"
    rows = [
        ["source", str(checkpoint.path)],
        ["container", checkpoint.container],
        ["SHA-256", checkpoint.sha256],
        ["library", report.library],
        ["network", report.arch],
        ["licence", report.licence],
        ["parameters", f"{report.parameters:,}"],
        ["tensors", tensors],
        ["classes", ", ".join(report.class_names)],
    ]
    if report.copied is not None:
        rows.append(["classifier rows kept", ", ".join(report.copied) or "none"])
        rows.append(["classifier rows new", ", ".join(report.new) or "none"])
    return rows


def _list(json: bool) -> None:
    from dualseg.checkpoints.importers.catalog import IMPORTERS

    if json:
        print_json({name: dict(module.ARCHITECTURES) for name, module in IMPORTERS.items()})
        return
    rows = [
        [name, arch, summary]
        for name, module in IMPORTERS.items()
        for arch, summary in module.ARCHITECTURES.items()
    ]
    print_table("What can be imported", ["--from", "--arch", "network"], rows)
