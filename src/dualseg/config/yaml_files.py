"""YAML from people: plain values only, small files, no surprises."""

import re
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from dualseg.core.errors import InputError

MAX_RECIPE_BYTES = 1_000_000

# YAML 1.1 knows 1.0e-3 alone. Too short for a fingerprint of 16 hexadecimal digits to be one.
WITH_EXPONENT = re.compile(r"[-+]?(\d{1,9}(\.\d*)?|\.\d+)[eE][-+]?\d{1,3}$")


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a mapping. Safe loader only; aliases and files above 1 MB are refused.

    Raises:
        InputError: The file is missing, too large, no YAML, or no mapping.
    """
    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise InputError(f"{path} is larger than {MAX_RECIPE_BYTES} bytes; this is no recipe")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
        ) from None
    content = parse_yaml(text, origin=str(path))
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds {type(content).__name__}; expected a mapping of keys to values"
        )
    return content


class _PlainLoader(yaml.SafeLoader):
    """The safe loader without aliases (they can blow up in size) and without doubled keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[union-attr]
            raise yaml.YAMLError(
                f"line {mark.line + 1}: aliases are not allowed; write the value out"
            )
        return super().compose_node(parent, index)  # type: ignore[arg-type]

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        times = Counter(key for key in keys if isinstance(key, Hashable))  # the rest is no key
        doubled = sorted(str(key) for key, count in times.items() if count > 1)
        if doubled:
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"line {line}: {', '.join(doubled)} stands twice; keep one")
        return super().construct_mapping(node, deep=deep)


class _PlainDumper(yaml.SafeDumper):
    """Writes what the loader reads: no aliases, and quotes where it would see something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # The one line break that PyYAML writes bare in a single-quoted text, and then folds away.
        return self.represent_scalar("tag:yaml.org,2002:str", data, '"' if "\x85" in data else None)


_PlainDumper.add_representer(str, _PlainDumper.represent_str)

for _side in (_PlainLoader, _PlainDumper):
    _side.add_implicit_resolver("tag:yaml.org,2002:float", WITH_EXPONENT, list("-+.0123456789"))


def parse_yaml(text: str, *, origin: str) -> Any:
    """Plain YAML values. `1e-3` is read as a number, as people mean it.

    Raises:
        InputError: The text is no YAML, or it holds an alias, a tag or a key that stands twice.
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{origin} is not plain YAML: {reason}") from None


def dump_yaml(content: Any, *, short_lists_in_line: bool = False) -> str:
    """YAML that `parse_yaml` reads back as the same values, keys in their order.

    Args:
        content: Plain values: a mapping, a list or a single one.
        short_lists_in_line: `[1, 2]` in place of a line for each.
    """
    text = yaml.dump(
        content,
        Dumper=_PlainDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None if short_lists_in_line else False,
    )
    return text[:-4] if text.endswith("\n...\n") else text  # what stands behind a single value
