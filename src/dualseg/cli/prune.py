"""`dualseg prune`"""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.console import print_json, say
from dualseg.cli.options import Json, Model
from dualseg.core.errors import InputError

EXAMPLE = "Example: dualseg prune runs/camvid camvid.safetensors"


def prune(
    model: Model,
    out: Annotated[
        Path, typer.Argument(metavar="DST", help="A new .safetensors file, or a new folder.")
    ],
    json: Json = False,
) -> None:
    """Drop what inference does not need: SISR, FTM, auxiliary heads, optimiser."""
    from dataclasses import replace

    from dualseg.checkpoints.model_files import load_unpruned, save_model, save_model_file

    if out.suffix not in (".safetensors", ""):
        raise InputError(f"DST is {out}; give a name that ends in .safetensors, or a folder")
    for path in (out, out.with_suffix(".json")):
        if path.exists():
            raise InputError(f"{path} exists; choose another name or remove it")
    whole, facts = load_unpruned(model)
    pruned = whole.prune()
    save = save_model_file if out.suffix else save_model
    save(out, pruned, replace(facts, architecture=pruned.architecture))
    before = sum(p.numel() for p in whole.parameters())
    after = sum(p.numel() for p in pruned.parameters())
    if json:
        print_json({"file": str(out), "parameters_before": before, "parameters": after})
    else:
        say(f"{before:,} parameters -> {after:,}; the logits are bit-identical")
        print(out)
