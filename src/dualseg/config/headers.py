"""What a packaged recipe says of itself in the comment above its keys."""

import re

from dualseg.config.recipe import packaged_recipe

FIELD = re.compile(r"(\w+):\s+(.*)")


def recipe_header(name: str) -> dict[str, str]:
    """Title, Command, Source, Published, Here, Differs, Note, those that are there.

    Args:
        name: One of `list_recipes()`.

    Raises:
        InputError: There is no such recipe.
    """
    lines = packaged_recipe(name).read_text(encoding="utf-8").splitlines()
    comment = [line.removeprefix("#") for line in lines if line.startswith("#")]
    fields = {"Title": comment[0].strip()}
    last = "Title"
    for line in comment[1:]:
        match = FIELD.match(line.strip())
        if match and line.startswith(" " + match[1]):
            last = match[1]
            fields[last] = match[2].strip()
        else:  # a long field goes on below, indented
            fields[last] += " " + line.strip()
    return fields
