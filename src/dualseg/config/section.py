"""What the sections of a recipe have in common."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys, and true and false for numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        if _holds_bool(value) and _allows(annotation, int, float) and not _allows(annotation, bool):
            raise ValueError("give a number, not true or false")
        return value


def _holds_bool(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(map(_holds_bool, value))
    return isinstance(value, bool)


def _allows(annotation: Any, *kinds: type) -> bool:
    """Whether one of these types, or a literal of them, is part of an annotation."""
    inner = (_allows(part, *kinds) for part in get_args(annotation))
    return annotation in kinds or type(annotation) in kinds or any(inner)
