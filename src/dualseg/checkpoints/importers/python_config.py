"""OpenMMLab configs: Python text of assignments, read without running it."""

import ast
from typing import Any

MAX_TEXT = 500_000
MAX_NODES = 100_000


def read_python_config(text: str) -> dict[str, Any]:
    """The assignments of literals, lists, tuples, dictionaries and `dict(name=...)`.

    A value of another kind is given as `...`, in its place in a dictionary or as a whole. A text
    that is no Python, too long or too deep gives an empty result.
    """
    if len(text) > MAX_TEXT:
        return {}
    try:
        tree = ast.parse(text)
        if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
            return {}
        return _assignments(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}


def _assignments(tree: ast.Module) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            if isinstance(target, ast.Name):
                found[target.id] = _value(statement.value)
    return found


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        items = [_value(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _value(node.operand)
        if isinstance(number, int | float):
            return -number
    pairs = _pairs(node)
    return ... if pairs is None else {name: _value(value) for name, value in pairs}


def _pairs(node: ast.expr) -> list[tuple[str, ast.expr]] | None:
    """Keys and values of `{"key": value}` and `dict(key=value)`; None for anything else."""
    if isinstance(node, ast.Dict):
        return [
            (str(key.value), value)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        ]
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return None
    if node.func.id != "dict" or node.args:
        return None
    return [(word.arg, word.value) for word in node.keywords if word.arg is not None]
