"""Workers of a benchmark, asked in turns: one process each, and only one at work at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from dualseg.core.errors import InputError
from dualseg.core.threads import SPINS, SPINS_VARIABLE

WORKER = "dualseg.cli.benchmark_worker"


class Worker:
    """A process that measures one thing whenever it is asked.

    Args:
        spec: What it measures.

    Raises:
        InputError: The measurement is not possible; the worker's own message.
    """

    def __init__(self, spec: dict[str, Any]):
        self.spec = spec
        quiet = {"OMP_NUM_THREADS": str(spec["threads"]), "OMP_WAIT_POLICY": "passive"}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the asking process, which ends this one
            # The policy alone has threads sleep at once, to be woken for every layer.
            env={SPINS_VARIABLE: str(SPINS), **os.environ, **quiet},
        )
        try:
            self.ready = self._ask(json.dumps(spec))
        except BaseException:
            self.close()
            raise

    def run(self) -> dict[str, Any]:
        """One more measurement."""
        return self._ask("run")

    def close(self) -> None:
        """Ends the process."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.terminate()
        self.process.wait()

    def _ask(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(line, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(
                f"the process for runtime {self.spec['runtime']} ended "
                f"(exit code {self.process.wait()}); its last words stand above"
            )
        content = json.loads(answer)
        if "error" in content:
            raise InputError(content["error"])
        return content


def measure_in_turns(
    specs: Sequence[dict[str, Any]],
    *,
    repeats: int,
    progress: Callable[[int, int], None],
) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Starts a worker for each of `specs`, then lets each run once a round.

    Returns:
        For each what it said when it was ready, and its runs.
    """
    total = len(specs) * (repeats + 1)
    done = 0
    with ExitStack() as stack:
        workers = []
        for spec in specs:
            worker = Worker(spec)
            stack.callback(worker.close)
            workers.append(worker)
            progress(done := done + 1, total)
        runs: list[list[dict[str, Any]]] = [[] for _ in workers]
        for _ in range(repeats):
            for worker, own in zip(workers, runs, strict=True):
                own.append(worker.run())
                progress(done := done + 1, total)
    return [(worker.ready, own) for worker, own in zip(workers, runs, strict=True)]
