"""`dualseg inspect`"""

from pathlib import Path
from typing import Annotated, Any

import typer

from dualseg.cli.console import print_json
from dualseg.cli.options import Json, ModelOrExported
from dualseg.core.errors import InputError, nearest

EXAMPLE = "Example: dualseg inspect runs/camvid --key score"


def inspect(
    model: ModelOrExported,
    key: Annotated[
        str | None, typer.Option("--key", help="One fact, dotted: architecture.backbone.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what is known about a model: architecture, classes, input, score and its protocol.

    Of an exported file also how it was made and what its gate measured, under `export`.
    """
    from dualseg.config import dump_yaml

    facts: Any = _facts(model)
    for part in key.split(".") if key else ():
        known = {str(name): fact for name, fact in facts.items()} if isinstance(facts, dict) else {}
        if part not in known:
            raise InputError(f"there is no fact {key!r}; {nearest(part, known)}")
        facts = known[part]
    if json:
        print_json(facts if isinstance(facts, dict) else {str(key): facts})
    else:
        print(dump_yaml(facts).strip())


def _facts(model: str) -> dict[str, Any]:
    from dualseg.checkpoints.model_files import find_model, is_exported, read_facts

    if not is_exported(model):
        return read_facts(find_model(model)[1]).to_dict()
    from dualseg.export.loading import open_file

    opened = open_file(Path(model))
    return {**opened.facts.to_dict(), "export": opened.note.to_dict()}
