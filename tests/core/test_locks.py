"""One process at a time, by a file or by a folder."""

import multiprocessing
from pathlib import Path

import pytest

from dualseg.core.locks import one_at_a_time

fcntl = pytest.importorskip("fcntl")


def add_ones(lock: Path, counter: Path) -> None:
    for _ in range(50):
        with one_at_a_time(lock):
            counter.write_text(str(int(counter.read_text()) + 1))


@pytest.mark.parametrize("is_folder", [False, True])
def test_no_change_of_two_processes_is_lost(is_folder: bool, tmp_path: Path):
    lock, counter = tmp_path / "lock", tmp_path / "counter"
    counter.write_text("0")
    if is_folder:
        lock.mkdir()
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=add_ones, args=(lock, counter)) for _ in range(2)]

    for process in both:
        process.start()
    for process in both:
        process.join()

    assert counter.read_text() == "100"


def test_a_folder_that_is_locked_is_left_as_it_was(tmp_path: Path):
    with one_at_a_time(tmp_path):
        pass

    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_free_after_an_error(tmp_path: Path):
    with pytest.raises(RuntimeError), one_at_a_time(tmp_path):
        raise RuntimeError

    with one_at_a_time(tmp_path):
        pass
