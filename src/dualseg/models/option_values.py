"""Values of options, which a recipe may spell as it likes, against the types that take them."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from dualseg.core.errors import InputError


def checked_value(option: str, kind: Any, value: Any) -> Any:
    """The value as the type asks for it: a list as a tuple, for example.

    Args:
        option: What the message calls it.
        kind: The type, as annotations name it.
        value: As given.

    Raises:
        InputError: It is of another kind.
    """
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        why = error.errors()[0]["msg"]
        raise InputError(f"{option} is {value!r}: {why[:1].lower()}{why[1:]}") from None
