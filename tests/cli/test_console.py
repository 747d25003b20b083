import io
import json
import os
import sys

import pytest
from rich.console import Console

from dualseg.cli import console
from dualseg.cli.console import (
    TrainingProgress,
    counting,
    percent,
    print_json,
    print_table,
    say,
    steps,
)


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0.0, "0.0 %"), (0.5237, "52.4 %")])
def test_scores_are_shown_in_percent(value, text):
    assert percent(value) == text


def test_progress_goes_to_stderr_and_says_what_matters(capsys):
    with TrainingProgress("seed 0") as progress:
        progress.started(0, 2)
        progress.stepped(1, 2, {"loss": 1.0}, 0.1)
        progress.stepped(2, 2, {"loss": 0.5, "image": 0.1}, 0.1)
        progress.evaluated(2, {"miou": 0.25}, True)
    with counting("reading") as count:
        count(1, 2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "seed 0: step 2/2: loss 0.500, image 0.100" in captured.err
    assert "val mIoU 25.0 %, pixel accuracy - (best so far)" in captured.err


def test_markup_in_names_is_shown_as_it_is(capsys):
    print_table("IoU", ["class", "IoU"], [["[red]wall[/red]", "1.0 %"]])
    assert "[red]wall[/red]" in capsys.readouterr().out


def test_what_a_terminal_would_obey_is_escaped(capsys):
    say("a\x1b[31m.png has\nno mask\x07 \udcff")
    assert capsys.readouterr().err == "a\\x1b[31m.png has\nno mask\\x07 \\udcff\n"


def test_a_long_title_stays_on_one_line(capsys):
    title = "mIoU 50.0 %, 3 images, ignored 0.0 %"
    print_table(title, ["a", "b"], [["c", "1"]])
    assert title in capsys.readouterr().out.splitlines()


def test_a_table_without_names_of_columns_keeps_no_line_for_them(capsys):
    print_table("would be", ["", ""], [["steps", "8"]])

    _, top, first, bottom = capsys.readouterr().out.splitlines()
    assert "steps" in first
    assert not any(c.isalnum() for c in top + bottom)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_json_is_utf_8_also_of_file_names_that_are_not(monkeypatch, encoding):
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding=encoding))
    name = os.fsdecode(b"b\xfcro \xc3\xa9.png")
    print("before")
    print_json({"image": name})
    first, second = buffer.getvalue().decode("utf-8").splitlines()
    assert first == "before"
    assert json.loads(second) == {"image": name}


def test_what_a_terminal_would_obey_is_escaped_in_tables_too(capsys):
    evil = "\x1b[31mroad\x1b]0;owned\x07 \udcff"
    print_table(evil, [evil, "IoU"], [[evil, "1.0 %"]])
    out = capsys.readouterr().out
    assert out.count("\\x1b[31mroad\\x1b]0;owned\\x07 \\udcff") == 3
    assert not set(out) & {"\x1b", "\x07", "\udcff"}


def test_no_name_becomes_a_picture(capsys):
    say("file a:car:b.png")
    print_table("t:car:", ["a:car:", "b"], [["c:car:", "1"]])
    captured = capsys.readouterr()
    assert captured.err == "file a:car:b.png\n"
    assert all(name in captured.out for name in ("t:car:", "a:car:", "c:car:"))


def test_a_bar_shows_names_as_they_are():
    bar = console._bar()
    bar.add_task("[red]a:car:[/red]", total=2)
    shown = io.StringIO()
    Console(file=shown, width=120).print(bar.get_renderable())
    assert "[red]a:car:[/red]" in shown.getvalue()


def test_a_log_gets_lines_also_where_colours_are_forced(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with counting("reading") as count, TrainingProgress() as progress:
        count(1, 2)
        progress.started(0, 1)
        progress.stepped(1, 1, {"loss": 1.0}, 0.1)
    err = capsys.readouterr().err
    assert "step 1/1: loss 1.000" in err
    assert "\x1b" not in err


def test_steps_that_are_over_at_once_leave_no_line(capsys):
    with steps() as progress:
        progress("reading", 0, None)
        progress("comparing", 0, 2)
    assert capsys.readouterr().err == ""


def test_longer_steps_have_a_line_each_and_one_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(console, "SECONDS_BEFORE_STEPS", 0.01)
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.0)
    with steps() as progress:
        progress("reading", 0, None)
        assert isinstance(progress, console._LineForAStep)
        progress.timer.join()
        progress("comparing", 0, 2)
        progress("comparing", 1, 2)
    captured = capsys.readouterr()
    assert captured.err == "reading\ncomparing\ncomparing: 1/2\n"
    assert captured.out == ""


def test_a_bar_shows_one_step_at_a_time():
    bar = console._bar()
    show = console._BarForAStep(bar)
    show("reading a:car:", 0, None)
    show("comparing", 0, 2)
    show("comparing", 1, 2)
    shown = io.StringIO()
    Console(file=shown, width=120).print(bar.get_renderable())
    assert "reading" not in shown.getvalue()
    assert "comparing" in shown.getvalue()
    assert "1/2" in shown.getvalue()
