"""The recipe keys in which runs differ."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dualseg.config import load_recipe
from dualseg.visual.page import card, scroll, section
from dualseg.visual.run_files import CONFIG_FILE


def recipe_part(names: Sequence[str], folders: Sequence[Path]) -> str:
    """A table of the keys whose values differ, one column a run; empty where none does.

    Raises:
        InputError: A recipe is missing or damaged.
    """
    recipes = [
        _flat(load_recipe(folder / CONFIG_FILE).model_dump(mode="json")) for folder in folders
    ]
    keys = list(dict.fromkeys(key for recipe in recipes for key in recipe))
    texts = {key: [str(recipe.get(key, "–")) for recipe in recipes] for key in keys}
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(key)}</code></th>'
        + "".join(f"<td>{escape(text)}</td>" for text in texts[key])
        + "</tr>"
        for key in keys
        if len(set(texts[key])) > 1
    )
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("Key", *names))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    lead = "Keys with the same value in every run are left out."
    return section("What differs in the recipes", lead, card(scroll(table, "Recipe keys")))


def _flat(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
