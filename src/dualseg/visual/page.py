"""The frame of our self-contained pages: style inline, nothing fetched, every text escaped."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources

from dualseg.core.labels import LabelSpec

LOGO = (
    '<svg viewBox="0 0 24 24" fill="currentColor" aria-hidden="true">'
    '<rect x="1" y="1" width="10" height="10" rx="1.5" opacity=".45"/>'
    '<rect x="13" y="13" width="10" height="10" rx="1.5" opacity=".45"/>'
    '<rect x="13" y="1" width="4.4" height="4.4" rx="1"/><rect x="18.6" y="6.6" width="4.4" '
    'height="4.4" rx="1"/>'
    '<rect x="1" y="13" width="4.4" height="4.4" rx="1"/><rect x="6.6" y="18.6" width="4.4" '
    'height="4.4" rx="1"/>'
    "</svg>"
)

MAX_COLUMNS = 7
MIN_CONTENTS = 4
"""A page of so many titled parts begins with a list of them."""


def render_page(title: str, body: Sequence[str]) -> str:
    """A whole page. `body` is HTML, its heading first; `title` is text."""
    style = resources.files("dualseg.visual").joinpath("report.css").read_text(encoding="utf-8")
    parts = [part for part in body if part]
    parts.insert(1, _contents(parts))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"{chr(10).join(part for part in parts if part)}\n</main>\n</body>\n</html>\n"
    )


def heading(kind: str, title: str) -> str:
    """The top of the page: what kind of page this is, and of what."""
    return f'<div class="brand">{LOGO}dualseg · {escape(kind)}</div>\n<h1>{escape(title)}</h1>'


def section(title: str, lead: str, *content: str) -> str:
    """A titled part of the page. `lead` says in text what is to be seen; `content` is HTML."""
    place = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    head = f'<h2 id="{place}">{escape(title)}</h2>\n<p class="lead">{escape(lead)}</p>\n'
    return f'<section aria-labelledby="{place}">\n{head}' + "\n".join(content) + "\n</section>"


def card(*content: str) -> str:
    """HTML on a card."""
    return f'<div class="card">{"".join(content)}</div>'


def breakable(name: str) -> str:
    """Text as HTML that a line may break after `/`, `_`, `.` and `-`: names of runs and classes."""
    return re.sub(r"([/_.-])(?=\w)", r"\1<wbr>", escape(name))


def scroll(table: str, name: str) -> str:
    """A wide table (HTML) that scrolls by itself, by keyboard too. `name` is for screen readers."""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">{table}</div>'
    )


def note(text: str) -> str:
    """One sentence that must not be overlooked."""
    return f'<p class="note">{escape(text)}</p>'


def fact_list(facts: Mapping[str, str]) -> str:
    """Names and values on a card."""
    items = (f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items())
    return card(f'<dl class="facts">{"".join(items)}</dl>')


def class_legend(labels: LabelSpec) -> str:
    """The colour of every class, and of what is ignored."""
    items = [
        f"<li>{swatch(color)}{escape(name)}</li>"
        for name, color in zip(labels.class_names, labels.palette, strict=True)
    ]
    items.append('<li><span class="swatch ignored"></span>ignored</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def series_legend(
    names: Sequence[str], colors: Sequence[str], dashes: Sequence[str] | None = None
) -> str:
    """The colour of every curve, and its dashes (SVG's stroke-dasharray) where it has some."""
    items = (
        f"<li>{_series_swatch(color, dash)}{escape(name)}</li>"
        for name, color, dash in zip(names, colors, dashes or [""] * len(names), strict=True)
    )
    return f'<ul class="legend">{"".join(items)}</ul>'


def swatch(color: tuple[int, int, int]) -> str:
    """A small square of one class's colour."""
    return f'<span class="swatch" style="background:rgb{color}"></span>'


def chart_figure(title: str, chart: str) -> str:
    """A chart with its title on a card."""
    return card(f"<figure><figcaption>{escape(title)}</figcaption>{chart}</figure>")


def tile(picture: str, caption: str, detail: str = "") -> str:
    """One picture (HTML) of a gallery row with what it is."""
    text = f"<b>{escape(caption)}</b> {escape(detail)}".rstrip()
    return f"<figure>{picture}<figcaption>{text}</figcaption></figure>"


def shot(number: int | str, title: str, detail: str, tiles: Sequence[str]) -> str:
    """One image of a gallery: a card with its tiles, which a box enlarges.

    Args:
        number: Differs from all others on the page; letters, digits and spaces.
        title: Name of the image.
        detail: Text at the right end of the title's line.
        tiles: HTML, see `tile`; up to MAX_COLUMNS stand in one line where the page is wide.
    """
    lines = -(-len(tiles) // MAX_COLUMNS)
    columns = -(-len(tiles) // lines)
    box = f"shot-{number}".lower().replace(" ", "-")
    return (
        f'<article class="card shot"><header><h3>{escape(title)}</h3><span>{escape(detail)}</span>'
        f'<span class="zoom"><input type="checkbox" id="{box}" '
        f'aria-label="larger: {escape(title)}">'
        f'<label for="{box}">larger</label></span></header>'
        f'<div class="tiles" style="--columns:{columns}">{"".join(tiles)}</div></article>'
    )


def _series_swatch(color: str, dash: str) -> str:
    if not dash:
        return f'<span class="swatch round" style="background:{color}"></span>'
    return (
        '<svg class="sample" viewBox="0 0 24 8" aria-hidden="true"><line x1="0" x2="24" y1="4" '
        f'y2="4" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/></svg>'
    )


def _contents(parts: Sequence[str]) -> str:
    found = re.findall(r'<h2 id="([^"]*)">(.*?)</h2>', "\n".join(parts))
    if len(found) < MIN_CONTENTS:
        return ""
    items = "".join(f'<li><a href="#{place}">{title}</a></li>' for place, title in found)
    return f'<nav aria-label="Parts of this page"><ul>{items}</ul></nav>'
