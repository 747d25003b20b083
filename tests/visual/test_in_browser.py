"""The pages in a real browser, where one is installed: Chromium without a window."""

import html
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dualseg.visual.compared_runs import open_runs
from dualseg.visual.report import write_report
from dualseg.visual.run_comparison import write_run_comparison

MakeRun = Callable[..., Path]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
    "--dump-dom",
)
PHONE = 390
LONG_NAME = "a_class_with_a_name_that_is_far_too_long_for_a_phone_of_any_width_and_has_no_space"

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def opened(page: Path, *flags: str) -> tuple[str, list[str]]:
    """The DOM after loading, and what the console said."""
    assert BROWSER
    profile = page.parent / "browser"
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def on_a_phone(page: Path, script: str) -> Path:
    """The page in a frame as wide as a phone, with a script that writes down what it measures."""
    inside = page.read_text("utf-8").replace(
        "</body>", f"<script>document.title = String((() => {{{script}}})());</script></body>"
    )
    frame = page.with_name(f"phone_{page.name}")
    frame.write_text(
        f'<iframe style="width:{PHONE}px;height:800px;border:0" srcdoc="{html.escape(inside)}">'
        "</iframe><p id=said></p><script>onload = () => { document.getElementById('said')"
        ".textContent = document.querySelector('iframe').contentDocument.title }</script>",
        encoding="utf-8",
    )
    return frame


def said(dom: str) -> str:
    found = re.search(r'<p id="said">(.*?)</p>', dom)
    assert found
    return found[1]


@pytest.fixture
def pages(make_run: MakeRun, tmp_path: Path) -> list[Path]:
    """The report of a run, and the comparison of two, with everything there can be."""
    names = ("road", LONG_NAME, "<b>unseen</b>")
    runs = [
        make_run("plain", extra=True, class_names=names),
        make_run("dual", extra=True, class_names=names, wrong=0, mious=(0.9, 0.4, 0.6, 0.5)),
    ]
    return [write_report(runs[0]), write_run_comparison(tmp_path / "page.html", open_runs(runs))]


def test_pages_load_whole_and_the_console_stays_silent(pages: list[Path]) -> None:
    for page in pages:
        dom, console = opened(page)
        assert console == []
        for title in ("Classes", "Boundaries", "How sure, how right", "What is taken for what"):
            assert f">{title}</h2>" in dom
        assert dom.count("<img") == page.read_text("utf-8").count("<img") > 0
        assert dom.count("</section>") == page.read_text("utf-8").count("</section>")
        assert "<b>unseen" not in dom


def test_every_picture_can_be_decoded_and_nothing_is_fetched(pages: list[Path]) -> None:
    script = """
        const broken = [...document.images].filter(i => !i.complete || !i.naturalWidth).length;
        const fetched = performance.getEntriesByType('resource')
            .filter(entry => !entry.name.startsWith('data:')).length;
        return `${document.images.length > 7} ${broken} ${fetched}`;"""
    for page in pages:
        assert said(opened(on_a_phone(page, script.replace("\n", " ")))[0]) == "true 0 0"


def test_nothing_is_wider_than_a_phone(pages: list[Path]) -> None:
    script = """
        document.querySelectorAll('details').forEach(d => d.open = true);
        document.querySelectorAll('.zoom input').forEach(box => box.checked = true);
        return `${innerWidth} ${document.documentElement.scrollWidth <= innerWidth}`;"""
    for page in pages:
        dom, console = opened(on_a_phone(page, script.replace("\n", " ")))
        assert said(dom) == f"{PHONE} true"
        assert console == []


def test_pages_follow_the_readers_theme(pages: list[Path]) -> None:
    script = "return getComputedStyle(document.body).backgroundColor;"
    frame = on_a_phone(pages[0], script)
    light = opened(frame, "--blink-settings=preferredColorScheme=1")[0]
    dark = opened(frame, "--blink-settings=preferredColorScheme=0")[0]
    assert said(light) == "rgb(245, 245, 242)"
    assert said(dark) == "rgb(19, 21, 23)"


def test_a_broken_page_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    page.write_text("<script>nothing.here</script>")
    _, console = opened(page)
    assert any("nothing is not defined" in line for line in console)
