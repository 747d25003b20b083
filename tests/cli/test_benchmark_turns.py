"""Workers of a benchmark."""

import os
from typing import Any

import pytest

from dualseg.cli import benchmark_turns
from dualseg.cli.benchmark_turns import Worker


class StartedError(Exception):
    """In place of a process."""


@pytest.mark.parametrize(("set_by_user", "expected"), [(None, "3000"), ("77", "77")])
def test_threads_of_a_worker_wait_a_little_before_they_sleep(
    monkeypatch: pytest.MonkeyPatch, set_by_user: str | None, expected: str
):
    seen: dict[str, str] = {}

    def start(*_: Any, env: dict[str, str], **__: Any) -> None:
        seen.update(env)
        raise StartedError

    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if set_by_user is not None:
        monkeypatch.setenv("GOMP_SPINCOUNT", set_by_user)
    monkeypatch.setattr(benchmark_turns.subprocess, "Popen", start)

    with pytest.raises(StartedError):
        Worker({"threads": 2})

    assert seen["GOMP_SPINCOUNT"] == expected
    assert (seen["OMP_NUM_THREADS"], seen["OMP_WAIT_POLICY"]) == ("2", "passive")


def test_ctrl_c_reaches_the_asking_process_alone():
    worker = Worker({"runtime": "roof", "threads": 1})
    try:
        assert os.getpgid(worker.process.pid) != os.getpgid(0)
    finally:
        worker.close()
