"""Names of shards: paths, URLs that fsspec knows, and patterns with braces."""

import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from dualseg.core.errors import InputError

INDEX_SUFFIX = ".index"
MOST_SHARDS = 100_000
MOST_DEPTH = 5

_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def is_url(text: str) -> bool:
    """Whether it is for fsspec, or for nobody, as `pipe:` is; a drive letter is no scheme."""
    return "://" in text or "::" in text or text.startswith("pipe:")


def normalized(text: str) -> str:
    """A URL as it is, or an absolute path; `file://` becomes a path.

    Raises:
        InputError: `pipe:`, a chain of URLs, or a scheme nobody knows.
    """
    if not is_url(text):
        return str(Path(text).absolute())
    if text.startswith("pipe:"):
        raise InputError(f"{text}: commands are not run; give paths or URLs of the shards")
    if "::" in text:
        raise InputError(f"{text}: chained URLs are not read; give the plain URL of the shards")
    scheme = text.partition("://")[0].lower()
    if scheme in ("file", "local"):
        return str(Path(url2pathname(unquote(text.partition("://")[2]))).absolute())
    from fsspec import available_protocols

    if scheme not in available_protocols():
        raise InputError(f"{text}: {scheme}:// is unknown; use s3://, gs://, https:// or a path")
    return text


def expand(pattern: str) -> list[str]:
    """`{000..127}` and `{a,b}` written out, in the order of a shell; others stay as they are.

    Raises:
        InputError: More than 100,000 names come out, a range counts down, or braces lie too deep.
    """
    return _expanded(pattern, pattern, MOST_DEPTH)


def parent_of(place: str) -> str:
    """The folder a file is in; what follows a `?` is kept."""
    if not is_url(place):
        return str(Path(place).parent)
    base, mark, query = place.partition("?")
    return f"{base.rpartition('/')[0]}{mark}{query}"


def name_of(place: str) -> str:
    """The last part of a path or URL."""
    return (urlsplit(place).path if is_url(place) else place).rpartition("/")[2] or place


def beside(place: str, name: str) -> str:
    """A file in a folder; what follows a `?` in the folder's URL is kept."""
    if not is_url(place):
        return str(Path(place) / name)
    base, mark, query = place.partition("?")
    return f"{base.rstrip('/')}/{name}{mark}{query}"


def shown(place: str) -> str:
    """For messages and records: without a password or a signature."""
    if not is_url(place) or not _SCHEME.match(place):
        return place
    scheme, host, path, query, _ = urlsplit(place)
    return f"{scheme}://{host.rpartition('@')[2]}{path}" + ("?..." if query else "")


def _expanded(text: str, pattern: str, depth: int) -> list[str]:
    """`text` is the pattern or a part of it."""
    if depth == 0:
        raise InputError(f"{pattern} has braces within braces, more than {MOST_DEPTH} deep")
    parts, end = [[""]], 0
    for start, stop in _braces(text):
        choices = _choices(text[start + 1 : stop - 1], pattern, depth)
        if choices is not None:
            parts += [[text[end:start]], choices]
            end = stop
    parts.append([text[end:]])
    if math.prod(map(len, parts)) > MOST_SHARDS:
        raise InputError(f"{pattern} stands for more than {MOST_SHARDS:,} shards")
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def _braces(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each outermost pair."""
    depth = start = 0
    for position, char in enumerate(text):
        if char == "{":
            start = position if depth == 0 else start
            depth += 1
        elif char == "}" and depth:
            depth -= 1
            if depth == 0:
                yield start, position + 1


def _choices(inside: str, pattern: str, depth: int) -> list[str] | None:
    numbers = _RANGE.fullmatch(inside)
    if numbers is None:
        between = _split_outside(inside)
        if len(between) == 1:
            return None
        return [name for part in between for name in _expanded(part, pattern, depth - 1)]
    first, last = numbers.groups()
    if int(last) < int(first):
        raise InputError(f"{pattern}: {{{inside}}} counts down; write {{{last}..{first}}}")
    if int(last) - int(first) >= MOST_SHARDS:
        raise InputError(f"{pattern} stands for more than {MOST_SHARDS:,} shards")
    padded = max(len(first), len(last)) if "0" in (first[:-1][:1], last[:-1][:1]) else 0
    return [f"{number:0{padded}d}" for number in range(int(first), int(last) + 1)]


def _split_outside(text: str) -> list[str]:
    """At the commas that are in no braces."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts
