"""JSON objects read with care."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dualseg.core.errors import InputError

MAX_JSON_BYTES = 10_000_000


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of moderate size.

    Raises:
        InputError: The file is missing, too large, no JSON, or no object.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise InputError(f"{path} is larger than {MAX_JSON_BYTES:,} bytes; it is no such file")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {type(content).__name__}; expected a JSON object")
    return content


def pack_json(content: Mapping[str, Any]) -> bytes:
    """A JSON object as file content; infinities and NaN are refused, since JSON has none."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace")  # for file names that are no UTF-8
