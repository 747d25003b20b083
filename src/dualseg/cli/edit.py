"""`dualseg edit`"""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.console import print_json, say, steps
from dualseg.cli.options import Json, Model

EXAMPLE = "Example: dualseg edit model.safetensors source='our street data' class_names.3=lorry"


def edit(
    model: Model,
    changes: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUE...", help="Facts as `dualseg inspect` shows them."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A new file or folder; else the facts are changed in place."),
    ] = None,
    json: Json = False,
) -> None:
    """Change facts of a model: typed, checked against its weights, all or nothing."""
    from dualseg.checkpoints.edit import edit_facts
    from dualseg.config import dump_yaml

    with steps() as progress:
        progress(f"changing facts of {model}", 0, None)
        facts = edit_facts(model, changes, out=out).to_dict()
    if json:
        print_json(facts)
        return
    keys = list(dict.fromkeys(change.partition("=")[0].split(".")[0] for change in changes))
    shown = {key: facts[key] for key in keys}
    say(dump_yaml(shown).strip())
    print(out or model)
