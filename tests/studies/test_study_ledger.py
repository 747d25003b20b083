"""The ledger, and a grid that is stopped, killed and gone on with, without training."""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from camvid_study.ledger import Ledger, Session, read_ledger, what_counts
from camvid_study.pace import estimate_hours
from camvid_study.plan import Run, only, plan_runs, recipe_of, rows_of
from camvid_study.running import Clock, Outcome, run_grid
from dualseg.config import Recipe
from dualseg.core.errors import InputError
from dualseg.training.interruption import Interrupted

HERE = Session("python studies/camvid.py", "abc", "a machine", "2026-01-01T00:00:00+00:00")


class Grid:
    """Two rows with two seeds, and a trainer that only notes what it is asked for."""

    def __init__(self, out: Path):
        rows = only(
            rows_of("ablation", sizes=["90x120"], hosts=["resnet18"]), ["low label", "full label"]
        )
        self.out = out
        self.runs = plan_runs(rows, seeds=[0, 1], epochs=2, out=out)
        self.trained: list[str] = []
        self.stop_at: int | None = None
        self.clock = Clock(None)
        self.epochs = 2

    def recipe(self, run: Run) -> Recipe:
        changed = Run(run.row, run.seed, self.epochs, run.folder)
        return recipe_of(changed, data=Path("/data"), num_images=16, threads=1)

    def train(self, run: Run, recipe: Recipe, clock: Clock) -> None:
        if self.stop_at is not None and len(self.trained) == self.stop_at:
            self.stop_at = None
            raise Interrupted(15, step=1)
        self.trained.append(f"{run.row.name} {run.seed}")

    def go(self) -> Outcome:
        return run_grid(
            self.runs,
            ledger=Ledger(self.out),
            recipe_of=self.recipe,
            session=lambda: HERE,
            clock=self.clock,
            train_one=self.train,
            finish=lambda run: None,
            say=lambda text: None,
        )


def test_a_stopped_grid_goes_on_where_it_was(tmp_path: Path):
    grid = Grid(tmp_path)
    grid.stop_at = 1

    with pytest.raises(Interrupted):
        grid.go()
    entries = list(read_ledger(tmp_path).values())
    assert [entry.finished for entry in entries] == [True, False]

    assert grid.go() == Outcome(finished=3, missing=0)
    assert grid.trained == ["low label 0", "full label 0", "low label 1", "full label 1"]
    assert [len(entry.sessions) for entry in read_ledger(tmp_path).values()] == [1, 2, 1, 1]
    assert grid.go() == Outcome(0, 0)


def test_when_the_time_is_up_the_rest_is_missing(tmp_path: Path):
    grid = Grid(tmp_path)
    times = iter([0.0, 1.0, 2.0, 11.0])
    grid.clock = Clock(10, now=lambda: next(times))

    assert grid.go() == Outcome(finished=2, missing=2)
    assert grid.trained == ["low label 0", "full label 0"]


def test_another_recipe_in_the_same_place_is_refused_before_anything_is_trained(tmp_path: Path):
    grid = Grid(tmp_path)
    grid.go()
    grid.trained.clear()
    grid.epochs = 3

    with pytest.raises(InputError, match=r"training.max_epochs: 2 there, 3 now"):
        grid.go()
    assert grid.trained == []


def test_where_the_data_lies_and_how_often_is_saved_does_not_count(tmp_path: Path):
    run = Grid(tmp_path).runs[0]

    one = recipe_of(run, data=Path("/a"), num_images=16, threads=1)
    other = recipe_of(run, data=Path("/b"), num_images=80, threads=2)

    assert what_counts(one) == what_counts(other)


def test_a_killed_session_has_no_time_and_makes_the_total_unknown(tmp_path: Path):
    grid = Grid(tmp_path)
    run = grid.runs[0]
    ledger = Ledger(tmp_path)
    ledger.begin(run, grid.recipe(run), HERE)  # and the process is killed

    again = Ledger(tmp_path)
    again.begin(run, grid.recipe(run), HERE)
    again.end(run, seconds=7.0, finished=True)

    (entry,) = read_ledger(tmp_path).values()
    assert [session.seconds for session in entry.sessions] == [None, 7.0]
    assert entry.seconds is None


def test_two_commands_share_the_file(tmp_path: Path):
    grid = Grid(tmp_path)
    one, other = Ledger(tmp_path), Ledger(tmp_path)

    for ledger, run in ((one, grid.runs[0]), (other, grid.runs[1])):
        ledger.begin(run, grid.recipe(run), HERE)
    one.end(grid.runs[0], seconds=1.0, finished=True)

    assert [entry.finished for entry in read_ledger(tmp_path).values()] == [True, False]
    assert other.is_finished(grid.runs[0])


def begin_and_end(out: Path, runs: list[Run]) -> None:
    ledger, grid = Ledger(out), Grid(out)
    for run in runs:
        ledger.begin(run, grid.recipe(run), HERE)
        ledger.end(run, seconds=1.0, finished=True)


def test_no_line_of_two_commands_is_lost(tmp_path: Path):
    row = Grid(tmp_path).runs[0].row
    context = multiprocessing.get_context("fork")
    commands = [
        context.Process(
            target=begin_and_end,
            args=(tmp_path, plan_runs([row], seeds=seeds, epochs=2, out=tmp_path)),
        )
        for seeds in (range(8), range(10, 18))
    ]

    for command in commands:
        command.start()
    for command in commands:
        command.join()

    assert [command.exitcode for command in commands] == [0, 0]
    assert [entry.finished for entry in read_ledger(tmp_path).values()] == [True] * 16


def test_a_line_that_was_removed_meanwhile_comes_back_at_the_end(tmp_path: Path):
    grid, ledger = Grid(tmp_path), Ledger(tmp_path)
    run = grid.runs[0]
    ledger.begin(run, grid.recipe(run), HERE)
    (tmp_path / "rows.jsonl").unlink()

    ledger.end(run, seconds=7.0, finished=True)

    (entry,) = read_ledger(tmp_path).values()
    assert (entry.finished, entry.seconds) == (True, 7.0)


def taught(out: Path, teacher: str) -> tuple[Run, Recipe]:
    rows = rows_of("beyond", sizes=["90x120"], hosts=["resnet18"])
    (row,) = [each for each in rows if each.name == "taught by full input on full label"]
    (run,) = plan_runs([replace(row, teacher=teacher)], seeds=[0], epochs=2, out=out)
    return run, recipe_of(run, data=Path("/data"), num_images=16, threads=1)


def test_another_teacher_is_another_recipe(tmp_path: Path):
    ledger = Ledger(tmp_path)
    ledger.begin(*taught(tmp_path, "full input"), HERE)

    ledger.require_same(*taught(tmp_path, "full input"))
    with pytest.raises(InputError, match=r"teacher: 'full_input' there, '_?sssr' now"):
        ledger.require_same(*taught(tmp_path, "+SSSR"))


def test_a_line_that_does_not_know_its_teacher_or_its_data_goes_on(tmp_path: Path):
    ledger = Ledger(tmp_path, data="the data")
    run, recipe = taught(tmp_path, "full input")
    ledger.begin(run, recipe, HERE)
    (line,) = (tmp_path / "rows.jsonl").read_text().splitlines()
    older = json.loads(line)
    del older["data"], older["settings"]["distillation"]["teacher"]
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(older)}\n")

    ledger.require_same_data()
    ledger.require_same(run, recipe)
    ledger.add([])

    assert json.loads((tmp_path / "rows.jsonl").read_text()) == older


def test_runs_on_other_pictures_are_kept_apart(tmp_path: Path):
    grid = Grid(tmp_path)
    Ledger(tmp_path, data="one").begin(grid.runs[0], grid.recipe(grid.runs[0]), HERE)

    Ledger(tmp_path, data="one").require_same_data()
    with pytest.raises(InputError, match=r"seed_0 in .* has other pictures in train or val"):
        Ledger(tmp_path, data="other").require_same_data()


def test_a_damaged_line_is_named(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text("{}\n")

    with pytest.raises(InputError, match="line 1 is damaged"):
        read_ledger(tmp_path)


def test_hours_come_from_finished_seeds_and_else_from_a_few_steps(tmp_path: Path):
    grid = Grid(tmp_path)
    first = grid.runs[0]
    ledger = Ledger(tmp_path)
    ledger.begin(first, grid.recipe(first), HERE)
    ledger.end(first, seconds=3600.0, finished=True)
    asked: list[str] = []

    def hours_of(run: Run) -> float:
        asked.append(run.row.name)
        return 0.25

    # low label, seed 1: as long as seed 0; full label, seeds 0 and 1: measured once.
    for _ in range(2):
        hours = estimate_hours(grid.runs, ledger.entries, out=tmp_path, hours_of=hours_of)
        assert hours == pytest.approx(1 + 2 * 0.25)
    assert asked == ["full label"]
