import os
import signal
import time

import pytest

from dualseg.core.errors import InputError
from dualseg.training.records.run_folder import owned, require_new, require_run


@pytest.mark.parametrize("trace", ["config.yaml", "metrics.jsonl", "checkpoints"])
def test_a_folder_with_a_run_is_not_trained_into(tmp_path, trace):
    require_new(tmp_path)
    (tmp_path / trace).mkdir()
    with pytest.raises(InputError, match=r"use dualseg resume .* or another --out"):
        require_new(tmp_path)


def test_a_folder_in_use_is_not_trained_into(tmp_path):
    for number in range(7):
        (tmp_path / f"{number}.png").touch()
    with pytest.raises(InputError, match="a run needs a new or empty folder") as told:
        require_new(tmp_path)
    assert told.value.problems == ("0.png", "1.png", "2.png", "3.png", "4.png", "... and 2 more")


def test_what_a_run_killed_before_its_first_step_left_is_not_in_the_way(tmp_path):
    with owned(tmp_path):
        (tmp_path / ".tmp-77-0123abcd-config.yaml").write_text("half")
        require_new(tmp_path)
    require_new(tmp_path)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(InputError, match="is a file"):
        require_new(tmp_path / "run")


def test_only_a_run_can_be_resumed(tmp_path):
    with pytest.raises(InputError, match=r"there is no config\.yaml"):
        require_run(tmp_path)


def in_a_child(action) -> int:
    """Exit code of a forked process that runs `action`."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except InputError as error:
            os._exit(3 if "another process trains in" in str(error) else 4)
        os._exit(0)
    return child


def wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_two_processes_cannot_own_one_folder(tmp_path):
    def own() -> None:
        with owned(tmp_path):
            pass

    with owned(tmp_path):
        assert wait(in_a_child(own)) == 3
    assert wait(in_a_child(own)) == 0


def test_the_refusal_names_the_owner(tmp_path):
    ready, done = tmp_path / "ready", tmp_path / "done"

    def hold() -> None:
        with owned(tmp_path / "run"):
            ready.touch()
            while not done.exists():
                time.sleep(0.01)

    child = in_a_child(hold)
    while not ready.exists():
        time.sleep(0.01)
    with pytest.raises(InputError, match=f"process {child} on "), owned(tmp_path / "run"):
        pass
    done.touch()
    assert wait(child) == 0


def test_the_lock_of_a_killed_process_is_free_even_while_its_children_live(tmp_path):
    ready, orphan = tmp_path / "ready", tmp_path / "orphan"

    def hold_with_a_worker() -> None:
        with owned(tmp_path / "run"):
            worker = os.fork()
            if worker == 0:
                time.sleep(30)
                os._exit(0)
            orphan.write_text(str(worker))
            ready.touch()
            time.sleep(30)

    child = in_a_child(hold_with_a_worker)
    while not ready.exists():
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    wait(child)
    try:
        with owned(tmp_path / "run"):
            pass
    finally:
        os.kill(int(orphan.read_text()), signal.SIGKILL)


def test_half_written_files_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / ".tmp-77-config.yaml").write_text("half")
    with owned(tmp_path):
        assert not (tmp_path / ".tmp-77-config.yaml").exists()


def test_a_folder_that_cannot_be_made_is_explained(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write into"), owned(tmp_path / "file" / "run"):
        pass
