"""Commands and options that documents and messages name are there."""

import re
import shlex
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from dualseg.cli.main import app
from dualseg.config.recipe import Recipe

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
LINE = re.compile(r"^ {4}(?:\S*/|.*-m )?dualseg ((?:\\\n|[^#`\n])*)", re.MULTILINE)
EXAMPLE = re.compile(r'"Example: dualseg ([^"]+)"')
QUOTED = re.compile(r'`dualseg ([^`"\n]+)`')


def _command(words: list[str]) -> tuple[TyperCommand | TyperGroup, list[str]]:
    """The command that words name, and the words behind it."""
    command: Any = get_command(app)
    rest = list(words)
    while isinstance(command, TyperGroup):
        options = [o for parameter in command.params for o in parameter.opts]
        while rest and rest[0] in options:
            rest.pop(0)
        if not rest or rest[0] in ("COMMAND", "..."):
            return command, []
        assert rest[0] in command.commands, f"there is no command {rest[0]!r}"
        command = command.commands[rest.pop(0)]
    return command, rest


def _is_key(name: str) -> bool:
    """Whether a recipe has the key; below a key of free form anything goes."""
    model: type[BaseModel] = Recipe
    for part in name.split("."):
        if part not in model.model_fields:
            return False
        below = model.model_fields[part].annotation
        if not (isinstance(below, type) and issubclass(below, BaseModel)):
            return True
        model = below
    return True


def _faults(lines: Iterable[str]) -> list[str]:
    faults = []
    for line in lines:
        try:
            words = shlex.split(line)
            command, rest = _command(words)
        except (AssertionError, ValueError) as error:
            faults.append(f"{line}: {error}")
            continue
        known = {
            o for parameter in command.params for o in (*parameter.opts, *parameter.secondary_opts)
        }
        for word, value in pairwise([*rest, ""]):
            if word.startswith("-") and not re.fullmatch(r"-[\d.]*", word):
                option = word.partition("=")[0]
                if option not in {*known, "--help", "-h"}:
                    faults.append(f"{line}: there is no option {option}")
            if word == "--set" and "=" in value and not _is_key(value.partition("=")[0]):
                faults.append(f"{line}: there is no key {value}")
    return faults


def _of_document(text: str) -> list[str]:
    return [*LINE.findall(text), *QUOTED.findall(text)]


def _of_source(text: str) -> list[str]:
    return [*EXAMPLE.findall(text), *QUOTED.findall(text)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_of_a_document_is_there(path: Path) -> None:
    assert _faults(_of_document(path.read_text(encoding="utf-8"))) == []


def test_every_command_of_a_message_and_of_help_is_there() -> None:
    found = {path: _of_source(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert sum(map(len, found.values())) > 50
    assert {path: _faults(lines) for path, lines in found.items() if _faults(lines)} == {}


@pytest.mark.parametrize(
    "line", ["`dualseg data look X`", "    dualseg train --dta X", "    dualseg train --set a.b=1"]
)
def test_what_is_not_there_is_found(line: str) -> None:
    assert len(_faults(_of_document(line))) == 1
