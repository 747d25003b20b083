"""`dualseg recipes`"""

from typing import Annotated

import typer

from dualseg.cli.console import print_json, print_table
from dualseg.cli.options import Json

EXAMPLE = "Example: dualseg recipes voc_deeplabv3_resnet50 > mine.yaml"


def recipes_(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One recipe: every key, written out.")
    ] = None,
    json: Json = False,
) -> None:
    """List the packaged recipes with what was published for them, or print one to start from."""
    from dualseg.config import list_recipes, load_recipe
    from dualseg.config.headers import recipe_header

    if name is not None:
        header, recipe = recipe_header(name), load_recipe(name)
        if json:
            print_json({"header": header, "recipe": recipe.model_dump(mode="json")})
            return
        print("\n".join(f"# {field}: {text}" for field, text in header.items()))
        print(recipe.to_yaml(), end="")
        return
    headers = {known: recipe_header(known) for known in list_recipes()}
    if json:
        print_json({"recipes": [{"name": known, **header} for known, header in headers.items()]})
        return
    rows = [
        [known, header["Title"], header.get("Published", "-")] for known, header in headers.items()
    ]
    print_table("Packaged recipes", ["recipe", "what", "published elsewhere"], rows)
