"""README and docs: links lead somewhere, files they name are there, and their Python is right."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import dualseg

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\((?!http)([^)#]*)(?:#([^)]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FILE = re.compile(r"\b(?:benchmarks|studies|tests|src)/[\w./-]*\w\.\w+")
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings of a page."""
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text)]
    return {heading.strip().replace(" ", "-") for heading in plain}


def broken_links(text: str, path: Path) -> list[str]:
    broken = []
    for place, anchor in LINK.findall(text):
        target = path.parent / place if place else path
        known = target.exists() and (not anchor or anchor in anchors(target.read_text("utf-8")))
        broken += [] if known else [f"{place}#{anchor}"]
    return broken


def missing_names(code: str) -> list[str]:
    """Names of the package that a snippet uses and that are not there."""
    missing = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            missing += [alias.name for alias in node.names if not hasattr(module, alias.name)]
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "dualseg":
            missing += [] if node.attr in dualseg.__all__ else [node.attr]
    return missing


@every_document
def test_links_lead_to_a_file_and_a_heading(path: Path) -> None:
    assert broken_links(path.read_text("utf-8"), path) == []


@every_document
def test_files_that_are_named_are_there(path: Path) -> None:
    named = set(FILE.findall(path.read_text("utf-8")))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@every_document
def test_python_uses_what_is_there(path: Path) -> None:
    snippets = PYTHON.findall(path.read_text("utf-8"))
    assert [name for code in snippets for name in missing_names(code)] == []


def test_what_is_not_there_is_found() -> None:
    readme = ROOT / "README.md"
    assert broken_links("[a](docs/none.md) [b](docs/data.md#none) [c](#results)", readme) == [
        "docs/none.md#",
        "docs/data.md#none",
    ]
    assert FILE.findall("`python benchmarks/none.py --all`") == ["benchmarks/none.py"]
    assert missing_names("model = dualseg.create(1)") == ["create"]
    assert missing_names("from dualseg.core.errors import InputError, Nope") == ["Nope"]
