"""Pages can be read: aloud, by keyboard, and by everyone's eyes."""

import re
from collections.abc import Callable
from importlib import resources
from itertools import pairwise
from pathlib import Path

import pytest
from html_checks import Accessibility, checked

from dualseg.visual.class_tables import INK_TURNS
from dualseg.visual.compared_runs import open_runs
from dualseg.visual.report import write_report
from dualseg.visual.run_comparison import write_run_comparison

MakeRun = Callable[..., Path]


def test_pages_can_be_read_aloud_and_used_by_keyboard(make_run: MakeRun, tmp_path: Path) -> None:
    better = make_run("better", extra=True, wrong=0, mious=(0.9, 0.4, 0.6, 0.5))
    runs = [make_run("plain", extra=True), better]
    comparison = write_run_comparison(tmp_path / "page.html", open_runs(runs))
    for page in (write_report(runs[0]), comparison):
        html = page.read_text("utf-8")
        checked(html)
        found = Accessibility()
        found.feed(html)
        assert found.unnamed == []
        assert found.headless_tables == 0
        assert len(found.ids) == len(set(found.ids))
        assert set(found.links) <= set(found.ids)
        assert len(found.links) >= 6
        assert found.levels[0] == 1
        assert all(later - level <= 1 for level, later in pairwise(found.levels))


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def theme_colors(theme: str) -> dict[str, str]:
    css = resources.files("dualseg.visual").joinpath("report.css").read_text("utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)[:2]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if theme == "light" else dark))


def contrast(ink: float, on: float) -> float:
    """Of two luminances, as WCAG 2.2 counts it; success criterion 1.4.3 asks for 4.5."""
    return (max(ink, on) + 0.05) / (min(ink, on) + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(theme: str) -> None:
    colors = theme_colors(theme)
    pairs = [(ink, on) for ink in ("ink", "muted", "accent") for on in ("card", "page")]
    pairs += [("good", "card"), ("bad", "card"), ("warn", "warn-soft"), ("ink", "accent-soft")]
    for ink, on in pairs:
        assert contrast(luminance(colors[ink]), luminance(colors[on])) >= 4.5, (ink, on)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_cell_of_the_confusion_matrix_can_be_read(theme: str) -> None:
    colors = theme_colors(theme)
    for percent in range(101):
        assert cell_contrast(colors, percent) >= 4.5, percent


def cell_contrast(colors: dict[str, str], percent: int) -> float:
    places = [f"cell-{name}" for name, above in INK_TURNS.items() if percent > above]
    ink = colors[(places or ["cell"])[0]]
    accent, sunken = (
        [int(colors[name][i : i + 2], 16) for i in (1, 3, 5)] for name in ("accent", "sunken")
    )
    mixed = "#" + "".join(
        f"{round((percent * a + (100 - percent) * b) / 100):02x}"
        for a, b in zip(accent, sunken, strict=True)
    )
    return contrast(luminance(ink), luminance(mixed))
