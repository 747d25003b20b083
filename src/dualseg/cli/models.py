"""`dualseg models`"""

from typing import Annotated, Any

import typer

from dualseg.cli.console import counting, print_json, print_table
from dualseg.cli.options import Json

EXAMPLE = "Example: dualseg models deeplabv3plus --backbone resnet101 --output-stride 8"
SIZE = (512, 1024)
NUM_CLASSES = 19


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One network, with its variants.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="Backbone to count with; else the paper's.")
    ] = None,
    output_stride: Annotated[
        int | None, typer.Option("--output-stride", help="8, 16 or 32; else the paper's.")
    ] = None,
    neck: Annotated[str | None, typer.Option("--neck", help="jpu or pyramid.")] = None,
    dsrl: Annotated[
        bool,
        typer.Option(
            "--dsrl", help="Count what DSRL leaves after pruning, with an input half as large."
        ),
    ] = False,
    backbones: Annotated[
        bool, typer.Option("--backbones", help="List the backbones instead.")
    ] = False,
    json: Json = False,
) -> None:
    """List what can be built, with parameters, GFLOPs at 512x1024, strides and source."""
    from dualseg.core.errors import InputError, nearest
    from dualseg.models.catalog import ENTRIES

    if backbones:
        _list_backbones(json)
        return
    if name is not None and name not in ENTRIES:
        raise InputError(f"there is no model {name!r}; {nearest(name, ENTRIES)}")
    variants = (ENTRIES[name].variants or [None]) if name else [None]
    wanted = [(known, variant) for known in ([name] if name else ENTRIES) for variant in variants]
    rows: list[dict[str, Any]] = []
    with counting("building networks") as progress:
        for known, variant in wanted:
            rows.append(_count(known, variant, backbone, output_stride, neck, dsrl))
            progress(len(rows), len(wanted))
    if json:
        print_json({"models": rows})
        return
    _print(rows, one=name is not None, dsrl=dsrl)


def _count(
    name: str,
    variant: str | None,
    backbone: str | None,
    output_stride: int | None,
    neck: str | None,
    dsrl: bool,
) -> dict[str, Any]:
    """One network's figures; it is built without memory and never run."""
    import torch

    from dualseg.models.catalog import ENTRIES, create_model
    from dualseg.models.complexity import measure_complexity

    entry = ENTRIES[name]
    size = (SIZE[0] // 2, SIZE[1] // 2) if dsrl else SIZE
    with torch.device("meta"):
        network = create_model(
            name,
            backbone=backbone,
            num_classes=NUM_CLASSES,
            output_stride=output_stride,
            head_variant=variant,
            neck=neck,
            dsrl=dsrl,
        ).prune()
        complexity = measure_complexity(network, size)
    features = network.neck or network.backbone
    return {
        "name": name,
        "backbone": network.architecture["backbone"],
        "output_stride": network.architecture["output_stride"],
        "head_variant": variant,
        "parameters": complexity.parameters,
        "gflops": round(complexity.gflops, 3),
        "input_size": list(size),
        "strides": [info.stride for info in features.feature_info],  # type: ignore[union-attr]
        "head_variants": list(entry.variants),
        "head_options": list(entry.options),
        "summary": entry.summary,
        "source": entry.source,
    }


def _print(rows: list[dict[str, Any]], *, one: bool, dsrl: bool) -> None:
    input_size = "{}x{}".format(*rows[0]["input_size"])
    answer = ", answered at 512x1024 by DSRL" if dsrl else ""
    title = f"{NUM_CLASSES} classes, input {input_size}{answer}; a multiply-add counts as two"
    third = "head_variant" if one else "head_variants"
    header = ["model", "backbone", third, "parameters", "GFLOPs", "feature strides", "source"]
    table = [
        [
            row["name"],
            row["backbone"],
            (row["head_variant"] if one else ", ".join(row["head_variants"])) or "-",
            f"{row['parameters'] / 1e6:.1f} M",
            f"{row['gflops']:.1f}",
            "/".join(map(str, row["strides"])),
            row["source"],
        ]
        for row in rows
    ]
    print_table(title, header, table)
    if one:
        print_table("", ["what", ""], [["idea", rows[0]["summary"]], *_options_row(rows[0])])


def _options_row(row: dict[str, Any]) -> list[list[str]]:
    options = ", ".join(row["head_options"])
    return [["head_options", options]] if options else []


def _list_backbones(json: bool) -> None:
    from dualseg.models.backbones.create import list_backbones, summary_of_backbones

    rows = summary_of_backbones()
    if json:
        print_json({"backbones": rows, "names": list_backbones()})
        return
    names = list(rows[0])
    print_table("Backbones", names, [[str(row[key]) for key in names] for row in rows])
