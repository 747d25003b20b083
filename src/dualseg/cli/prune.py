"""`dualseg prune`"""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.console import print_json, say, steps
from dualseg.cli.options import Json, Model
from dualseg.core.errors import InputError

EXAMPLE = "Example: dualseg prune runs/camvid camvid.safetensors"


def prune(
    model: Model,
    out: Annotated[
        Path, typer.Argument(metavar="DST", help="A new .safetensors file, or a new folder.")
    ],
    precision: Annotated[
        str,
        typer.Option(
            "--precision", help="Of the weights in the file: fp32, or bf16, half as large."
        ),
    ] = "fp32",
    json: Json = False,
) -> None:
    """Drop what inference does not need: SISR, FTM, auxiliary heads, optimiser."""
    from dataclasses import replace

    from dualseg.checkpoints.model_files import load_unpruned, require_new_model, save_new_model

    if precision not in ("fp32", "bf16"):
        raise InputError(f"--precision is {precision!r}; allowed: fp32, bf16")
    require_new_model(out, option="DST")
    with steps() as progress:
        progress(f"reading {model}", 0, None)
        whole, facts = load_unpruned(model)
        pruned = whole.prune()
        if precision == "bf16":  # read back, they are computed with in fp32 as ever
            pruned.bfloat16()
        progress(f"writing {out}", 0, None)
        save_new_model(out, pruned, replace(facts, architecture=pruned.architecture))
    before = sum(p.numel() for p in whole.parameters())
    after = sum(p.numel() for p in pruned.parameters())
    if json:
        print_json({"file": str(out), "parameters_before": before, "parameters": after})
    else:
        exact = "the logits are bit-identical"
        rounded = "weights rounded to bf16, so the logits differ a little"
        say(f"{before:,} parameters -> {after:,}; {exact if precision == 'fp32' else rounded}")
        print(out)
