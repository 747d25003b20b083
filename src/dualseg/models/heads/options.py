"""Checks `head_options`, which a recipe may spell as it likes, against the head that takes them."""

from collections.abc import Mapping
from typing import Any, get_type_hints

from dualseg.core.errors import InputError
from dualseg.models.option_values import checked_value


def checked_options(
    network: str, head: type, options: Mapping[str, Any], *, known: tuple[str, ...]
) -> dict[str, Any]:
    """The options as the head's arguments, lists as the sequences it asks for.

    Args:
        network: Name of the catalogue entry.
        head: Its class; the annotations of its arguments say what is allowed.
        options: As given.
        known: Options of the entry.

    Raises:
        InputError: Something of another kind, a number below 1, or a dropout outside 0..1.
    """
    hints = get_type_hints(head.__init__)
    checked = {}
    for name in known:
        if name not in options:
            continue
        value = options[name]
        checked[name] = checked_value(f"head option {name!r} of {network}", hints[name], value)
        _require_range(network, name, checked[name], given=value)
    return checked


def _require_range(network: str, name: str, value: Any, *, given: Any) -> None:
    if name == "dropout":
        if value is not None and not 0 <= value <= 1:
            raise InputError(f"head option 'dropout' of {network} is {given!r}; give 0 to 1")
        return
    numbers = value if isinstance(value, list | tuple) else [value]
    whole = [n for n in numbers if isinstance(n, int) and not isinstance(n, bool)]
    if not numbers or any(number < 1 for number in whole):
        raise InputError(
            f"head option {name!r} of {network} is {given!r}; give whole numbers from 1 up"
        )
