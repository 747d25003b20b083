"""What a person sees: results on stdout, everything else on stderr, bars only on a terminal."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

SECONDS_BETWEEN_LINES = 15.0
SECONDS_BEFORE_STEPS = 2.0

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) != "\n"}

stderr = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def say(text: str) -> None:
    """Text for a person, on stderr, as `harmless` makes it."""
    stderr.print(escape(harmless(text)))


def harmless(text: str) -> str:
    """Text with what a terminal would obey, or could not show, escaped:

    names of files and classes may hold control characters and bytes that are no UTF-8.
    """
    return text.encode("utf-8", "backslashreplace").decode().translate(_CONTROL)


def print_json(result: Mapping[str, Any]) -> None:
    r"""The one JSON object of `--json`, on stdout, in UTF-8 whatever the terminal's encoding.

    A byte of a file name that is no UTF-8 is written as `\udcXX`, as by `write_text`.
    """
    text = json.dumps(result, ensure_ascii=False, allow_nan=False) + "\n"
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", errors="backslashreplace"))
    sys.stdout.buffer.flush()


def print_table(title: str, header: list[str], rows: list[list[str]], *, width: int = 120) -> None:
    """A table on stdout; the first column is text, the others are numbers.

    Args:
        title: Stands above it.
        header: Names of the columns; where all are empty, no line is kept for them.
        rows: Their cells.
        width: At most so many characters where stdout is no terminal, which has its own width.
    """
    table = Table(show_header=any(header))
    for number, name in enumerate(header):
        table.add_column(
            escape(harmless(name)), justify="right" if number else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(escape(harmless(cell)) for cell in row))
    wide = None if sys.stdout.isatty() else width
    console = Console(highlight=False, emoji=False, width=wide)
    console.print(
        escape(harmless(title)), soft_wrap=True
    )  # as a title it would be broken at the table's width
    console.print(table)


def percent(value: float | None) -> str:
    """0.5 -> `50.0 %`; a score that does not exist is a dash."""
    return "-" if value is None else f"{100 * value:.1f} %"


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A callback (done, total): a bar on a terminal, elsewhere a line now and then."""
    if not _bars_are_seen():
        yield _LinesNowAndThen(what)
        return
    with _bar() as progress:
        task = progress.add_task(harmless(what), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def steps() -> Iterator[Callable[[str, int, int | None], None]]:
    """A callback (step, done, total): a bar on a terminal, elsewhere a line for each step.

    The total is None where a step has nothing to count. Where all is over in two seconds, no line
    is written.
    """
    if _bars_are_seen():
        with _bar() as progress:
            yield _BarForAStep(progress)
        return
    lines = _LineForAStep()
    try:
        yield lines
    finally:
        lines.timer.cancel()


class TrainingProgress:
    """Shows a run: a bar with loss and rate on a terminal, a line now and then elsewhere.

    Args:
        label: Stands before each line, to tell runs of a grid apart.
    """

    def __init__(self, label: str = ""):
        self.label = harmless(label)
        self._bar: Progress | None = None
        self._task: Any = None
        self._look: Any = None
        self._last_line = time.monotonic()
        self._started_at = (time.monotonic(), 0)

    def __enter__(self) -> "TrainingProgress":
        if _bars_are_seen():
            self._bar = _bar()
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def looking(self, what: str, done: int, total: int) -> None:
        if self._bar is not None:
            if self._look is None:
                self._look = self._bar.add_task("")
            self._bar.update(self._look, description=harmless(what), completed=done, total=total)
        elif time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self.message(f"{what}: {done}/{total}")

    def started(self, step: int, max_steps: int) -> None:
        if self._bar is not None and self._look is not None:
            self._bar.remove_task(self._look)
            self._look = None
        self._started_at = (time.monotonic(), step)
        self._last_line = time.monotonic()
        if self._bar is not None:
            self._task = self._bar.add_task(
                self.label or "training", total=max_steps, completed=step
            )

    def stepped(self, step: int, max_steps: int, losses: Mapping[str, float], lr: float) -> None:
        terms = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
        if self._bar is not None:
            description = f"{self.label or 'training'}  {terms}"
            self._bar.update(self._task, completed=step, description=description)
        elif time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES or step == max_steps:
            self._last_line = time.monotonic()
            since, first = self._started_at
            rate = (step - first) / max(time.monotonic() - since, 1e-9)
            self.message(f"step {step}/{max_steps}: {terms}, lr {lr:.2g}, {rate:.2f} steps/s")

    def evaluating(self, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=f"{self.label}  validating {done}/{total}")

    def evaluated(self, step: int, scores: Mapping[str, float], is_best: bool) -> None:
        best = " (best so far)" if is_best else ""
        miou = percent(scores.get("miou"))
        accuracy = percent(scores.get("pixel_accuracy"))
        self.message(f"step {step}: val mIoU {miou}, pixel accuracy {accuracy}{best}")

    def message(self, text: str) -> None:
        say(f"{self.label}: {text}" if self.label else text)


class _LinesNowAndThen:
    def __init__(self, what: str):
        self.what = what
        self.last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self.last > SECONDS_BETWEEN_LINES:
            self.last = time.monotonic()
            say(f"{self.what}: {done}/{total}")


class _BarForAStep:
    def __init__(self, progress: Progress):
        self.progress = progress
        self.step: str | None = None
        self.task: Any = None

    def __call__(self, step: str, done: int, total: int | None) -> None:
        if step != self.step:
            if self.task is not None:
                self.progress.remove_task(self.task)
            self.step, self.task = step, self.progress.add_task(harmless(step), total=total)
        self.progress.update(self.task, completed=done)


class _LineForAStep:
    def __init__(self):
        self.step = ""
        self.last = time.monotonic()
        self.is_long = False
        self.timer = threading.Timer(SECONDS_BEFORE_STEPS, self._begin)
        self.timer.daemon = True
        self.timer.start()

    def __call__(self, step: str, done: int, total: int | None) -> None:
        if step != self.step:
            self.step, self.last = step, time.monotonic()
            if self.is_long:
                say(step)
        elif total is not None and time.monotonic() - self.last > SECONDS_BETWEEN_LINES:
            self.last = time.monotonic()
            say(f"{step}: {done}/{total}")

    def _begin(self) -> None:
        self.is_long = True
        if self.step:
            say(self.step)


def _bars_are_seen() -> bool:
    """FORCE_COLOR has rich take a log file for a terminal, and a bar moves the cursor."""
    return stderr.is_terminal and sys.stderr.isatty()


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
    )
