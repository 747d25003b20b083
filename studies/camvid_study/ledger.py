"""`rows.jsonl`: what was trained with which command, commit, seed and machine, and how long."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

import dualseg
from camvid_study.plan import MODEL_FILE, Run
from dualseg.config import Recipe
from dualseg.core.errors import InputError
from dualseg.core.files import make_folder, write_text
from dualseg.core.locks import one_at_a_time
from dualseg.training.records.changes import changed_keys

LEDGER_FILE = "rows.jsonl"
NOT_THE_RESULT = {
    "training": ("eval_every", "checkpoint_every", "keep_checkpoints", "log_every", "num_workers"),
    "data": ("root", "cache", "cache_dir", "allow_missing"),
}


@dataclass(frozen=True)
class Session:
    """One stretch of work at a run.

    Args:
        command: As it was typed.
        commit: Of this repository; `-changed` where tracked files were not as committed.
        machine: Processor, cores, threads, system, torch.
        started: UTC.
        seconds: Until it was finished or stopped; None while it lasts, or where it was killed.
    """

    command: str
    commit: str
    machine: str
    started: str
    seconds: float | None = None


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    Args:
        run: Folder from the study's.
        name, part, size, host: Of the row.
        seed, epochs: Of the run; epochs are those asked for.
        settings: The recipe, without what leaves the result as it is.
        finished: Trained to its end and scored.
        sessions: In their order.
        data: `split_digest` of the data; None in lines older than this key.
    """

    run: str
    name: str
    part: str
    size: str
    host: str
    seed: int
    epochs: int
    settings: Mapping[str, Any]
    finished: bool = False
    sessions: tuple[Session, ...] = field(default=())
    data: str | None = None

    @property
    def seconds(self) -> float | None:
        """Of all sessions; None where one of them was killed, so that nobody knows."""
        known = [session.seconds for session in self.sessions]
        return None if None in known else sum(second or 0.0 for second in known)


class Ledger:
    """The file; several commands can share it, since it is read before every use, changed by one of
    them at a time, and written whole.

    Args:
        out: The study's folder.
        data: `split_digest` of the data of what is begun; None where nothing is.
    """

    def __init__(self, out: Path, *, data: str | None = None):
        self.out = out
        self.data = data
        self._begun: dict[str, Entry] = {}

    @property
    def entries(self) -> dict[str, Entry]:
        """Run -> its line, as the file has it now."""
        return read_ledger(self.out)

    def require_same_data(self) -> None:
        """Raises:
        InputError: A run was trained or is scored on other pictures; older lines do not say.
        """
        for entry in self.entries.values():
            if None not in (entry.data, self.data) and entry.data != self.data:
                raise InputError(
                    f"{entry.run} in {self.out} has other pictures in train or val than these data "
                    "(a fold, or another val split); give the data it was made with, or another "
                    "folder for runs of this split"
                )

    def require_same(self, run: Run, recipe: Recipe) -> None:
        """Raises:
        InputError: The run is there already, and was begun with another recipe.
        """
        entry = self.entries.get(self.key(run))
        if entry is None:
            return
        now = what_counts(recipe)
        if "teacher" not in entry.settings["distillation"]:  # a line older than this key
            del now["distillation"]["teacher"]
        changed = changed_keys(entry.settings, now)
        if changed:
            raise InputError(
                f"{entry.run} was begun with another recipe; use another --out, or remove the "
                "folder and its line. What differs:",
                [f"{key}: {old!r} there, {new!r} now" for key, (old, new) in changed.items()],
            )

    def begin(self, run: Run, recipe: Recipe, session: Session) -> None:
        """A new line, or a new session in an old one."""
        key, row = self.key(run), run.row
        with self._changing() as entries:
            entry = entries.get(key) or Entry(
                key,
                row.name,
                row.part,
                row.size,
                row.host,
                run.seed,
                run.epochs,
                what_counts(recipe),
                data=self.data,
            )
            begun = replace(entry, sessions=(*entry.sessions, session))
            self._begun[key] = entries[key] = begun

    def end(self, run: Run, *, seconds: float, finished: bool) -> None:
        """The last session of a run is over; a line that was removed meanwhile comes back."""
        key = self.key(run)
        with self._changing() as entries:
            entry = entries.get(key) or self._begun[key]
            *earlier, last = entry.sessions
            sessions = (*earlier, replace(last, seconds=round(seconds, 1)))
            entries[key] = replace(entry, sessions=sessions, finished=finished)

    def is_finished(self, run: Run) -> bool:
        """As the file says."""
        entry = self.entries.get(self.key(run))
        return entry is not None and entry.finished

    def key(self, run: Run) -> str:
        """A run's folder from the study's."""
        return run.folder.relative_to(self.out).as_posix()

    def add(self, added: Iterable[Entry]) -> None:
        """New lines, and new ones for runs that have one."""
        with self._changing() as entries:
            entries |= {entry.run: entry for entry in added}

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Entry]]:
        """The lines, for this command alone; they are written as the block leaves them."""
        make_folder(self.out)
        with one_at_a_time(self.out):
            entries = self.entries
            yield entries
            text = "".join(f"{_line(entry)}\n" for entry in entries.values())
            write_text(self.out / LEDGER_FILE, text)


def _line(entry: Entry) -> str:
    """A line that is older than a key stays as it was."""
    plain = asdict(entry)
    if entry.data is None:
        del plain["data"]
    return json.dumps(plain, ensure_ascii=False)


def read_ledger(out: Path) -> dict[str, Entry]:
    """Run -> its line; empty where there is no ledger yet.

    Raises:
        InputError: A line is damaged.
    """
    path = out / LEDGER_FILE
    if not path.is_file():
        return {}
    entries = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            plain = json.loads(line)
            sessions = tuple(Session(**session) for session in plain.pop("sessions"))
            entry = Entry(**plain, sessions=sessions)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}, line {number} is damaged: {error}") from None
        entries[entry.run] = entry
    return entries


def what_counts(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, without the keys that leave the result as it is."""
    settings = recipe.model_dump(mode="json")
    del settings["runtime"], settings["tracking"]
    for section, keys in NOT_THE_RESULT.items():
        for key in keys:
            del settings[section][key]
    for section, key in (("training", "init_weights"), ("distillation", "teacher")):
        settings[section][key] = _network_name(settings[section][key])
    pretrained = settings["model"]["pretrained"]
    if isinstance(pretrained, str):
        settings["model"]["pretrained"] = Path(pretrained).stem
    return settings


def _network_name(file: str | None) -> str | None:
    """Which row or file it is, wherever the study lies."""
    if file is None:
        return None
    path = Path(file)
    return path.parents[1].name if path.name == MODEL_FILE else path.stem


def new_session(command: str, *, threads: int | None) -> Session:
    """Begins now, on this machine."""
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Session(command, commit_of(Path(__file__).parent), describe_machine(threads), started)


def commit_of(folder: Path) -> str:
    """The commit checked out there; `unknown` outside a repository."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-changed" if changed else commit


def describe_machine(threads: int | None) -> str:
    """One line."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    used = threads or torch.get_num_threads()
    versions = f"torch {torch.__version__}, dualseg {dualseg.__version__}"
    return f"{device}, {os.cpu_count()} cores, {used} threads, {platform.system()}, {versions}"


def _processor() -> str:
    """Its name, from Linux's own list where there is one."""
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        for line in listed.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
