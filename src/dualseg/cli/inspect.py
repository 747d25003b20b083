"""`dualseg inspect`"""

from typing import Annotated, Any

import typer
import yaml

from dualseg.cli.console import print_json
from dualseg.cli.options import Json, Model
from dualseg.core.errors import InputError, nearest

EXAMPLE = "Example: dualseg inspect runs/camvid --key score"


def inspect(
    model: Model,
    key: Annotated[
        str | None, typer.Option("--key", help="One fact, dotted: architecture.backbone.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what is known about a model: architecture, classes, input, score and its protocol."""
    from dualseg.checkpoints.model_files import find_model, read_facts

    facts: Any = read_facts(find_model(model)[1]).to_dict()
    for part in key.split(".") if key else ():
        known = {str(name): fact for name, fact in facts.items()} if isinstance(facts, dict) else {}
        if part not in known:
            raise InputError(f"there is no fact {key!r}; {nearest(part, known)}")
        facts = known[part]
    if json:
        print_json(facts if isinstance(facts, dict) else {str(key): facts})
    else:
        print(
            yaml.safe_dump(facts, sort_keys=False, allow_unicode=True).removesuffix("...\n").strip()
        )
