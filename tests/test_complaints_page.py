"""docs/complaints.md names tests; each of them must be there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "complaints.md"


def named_tests() -> list[tuple[str, str]]:
    """(file, function) of every test the page names."""
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE.read_text())


def functions(file: str) -> set[str]:
    """The test functions of a file, those in classes too."""
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_test_the_page_names_exists() -> None:
    named = named_tests()
    assert len(named) >= 25
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file() or name not in functions(file)
    ]
    assert missing == []


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    bare = [row for row in rows if "---" not in row and "kept away by" not in row]
    assert [row for row in bare if "::test_" not in row] == []
