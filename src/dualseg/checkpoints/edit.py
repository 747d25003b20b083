"""Changing a model's facts by hand: typed, and checked as a whole before anything is written."""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dualseg.checkpoints.checksums import CHECKSUMS_FILE
from dualseg.checkpoints.hub import is_on_hub
from dualseg.checkpoints.model_files import (
    build_network,
    find_model,
    load_unpruned,
    load_weights,
    parse_facts,
    require_new_model,
    save_new_model,
)
from dualseg.config import parse_override
from dualseg.core.errors import InputError, nearest
from dualseg.core.facts import ModelFacts
from dualseg.core.files import json_text, write_json

FIXED = ("format", "num_classes")  # say what the file is, not what is known about the model
EMPTY = {"training_size": list, "score": float, "protocol": dict}  # kinds of facts that may be null


def edit_facts(
    model: str | Path, assignments: Iterable[str], *, out: Path | None = None
) -> ModelFacts:
    """Changes facts of a model and keeps its weights.

    Args:
        model: What `load_model` takes.
        assignments: `dotted.key=value`, the value as YAML, so that `false` is false and `[1, 2]` a
            list; `class_names.3=car` changes one entry of a list. The kind of a value stays.
        out: A new `.safetensors` file or folder; without it the facts are changed where they are.

    Returns:
        The facts as they are now.

    Raises:
        InputError: A key is unknown or fixed, a value is of another kind or does not fit the rest
            or the weights, `out` exists, or the model belongs to a run or lies on the hub and `out`
            is missing. Nothing is written then.
    """
    if out is None and is_on_hub(model):
        raise InputError(
            f"{model} lies on the hub, and what was fetched of it is shared; write the changed "
            "model elsewhere with --out NEW.safetensors"
        )
    weights_path, facts_path = find_model(model)
    if out is None and (weights_path.parent / CHECKSUMS_FILE).is_file():
        raise InputError(
            f"{weights_path.parent} is a checkpoint of a run, which stays as it was written; "
            "write the changed model elsewhere with --out NEW.safetensors"
        )
    if out is not None:
        require_new_model(out)
    network, before = load_unpruned(model)
    plain = copy.deepcopy(before.to_dict())
    for assignment in assignments:
        _assign(plain, parse_override(assignment))
    facts = parse_facts(plain, origin=facts_path)
    _require_json(facts)
    if facts.architecture != before.architecture:
        changed = build_network(facts, origin=facts_path)
        load_weights(changed, network.state_dict(), origin=f"{weights_path}, after the change,")
    if out is None:
        write_json(facts_path, facts.to_dict())
    else:
        save_new_model(out, network, facts)
    return facts


def _assign(plain: Any, change: Any, path: tuple[str, ...] = ()) -> None:
    """Lays nested keys on plain values, in place; a list is entered by number."""
    for part, value in change.items():
        here = (*path, str(part))
        place = _place(plain, str(part), here)
        if isinstance(value, dict) and isinstance(plain[place], (dict, list)):
            _assign(plain[place], value, here)
        else:
            _require_same_kind(plain[place], value, here)
            plain[place] = value


def _place(plain: Any, part: str, path: tuple[str, ...]) -> str | int:
    """`part` as an index of a list or a key of a mapping that is there."""
    if isinstance(plain, list):
        if part.isdecimal() and int(part) < len(plain):
            return int(part)
        raise InputError(f"{'.'.join(path)}: the list has entries 0 to {len(plain) - 1}")
    known = {str(key): key for key in plain if path[:-1] or key not in FIXED}
    if part in known:
        return known[part]
    raise InputError(f"there is no fact {'.'.join(path)!r} to change; {nearest(part, known)}")


def _require_same_kind(before: Any, after: Any, path: tuple[str, ...]) -> None:
    key = ".".join(path)
    if path[0] == "architecture" and (before is None or after is None):
        return  # what an argument of a network may be is the network's to say
    if key in EMPTY:
        if after is None:
            return
        before = EMPTY[key]()
    if _kind(before) != _kind(after):
        raise InputError(
            f"{key} is {before!r}, {_kind(before)}; got {after!r}, {_kind(after)}. "
            "Values are read as YAML: 0.5, true, text, [1, 2]"
        )


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    kinds |= {list: "a list", tuple: "a list", dict: "a mapping", type(None): "nothing"}
    return kinds.get(type(value), f"a {type(value).__name__}")  # YAML also reads dates


def _require_json(facts: ModelFacts) -> None:
    """What an argument of a network may be is not typed above."""
    try:
        json_text(facts.to_dict())
    except (TypeError, ValueError) as error:
        raise InputError(f"a value cannot be written as JSON: {error}") from None
