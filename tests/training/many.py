"""Runs a function in several processes that are joined as torchrun's are, by forking this one."""

import contextlib
import os
import pickle
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SECONDS = 60.0
RESULT, ERROR = 0, 1


@dataclass
class Ended:
    """How one process ended: what its function returned, or the error it raised."""

    code: int
    result: Any = None
    error: str | None = None
    kind: str | None = None


def in_processes(world: int, work: Callable[[], Any], *, attempt: int = 0) -> list[Ended]:
    """Calls `work` in every one of `world` processes; they join when it trains.

    The address is that of a free port; every process takes its number from the environment.
    """
    return Started(world, work, attempt=attempt).wait()


class Started:
    """Processes that run."""

    def __init__(self, world: int, work: Callable[[], Any], *, attempt: int = 0):
        port = free_port()
        self.children = [_fork(rank, world, port, work, attempt) for rank in range(world)]

    def kill(self, rank: int, signum: int = signal.SIGKILL) -> None:
        os.kill(self.children[rank][0], signum)

    def wait(self) -> list[Ended]:
        deadline = time.monotonic() + SECONDS
        return [_await(child, read_end, deadline) for child, read_end in self.children]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _fork(
    rank: int, world: int, port: int, work: Callable[[], Any], attempt: int
) -> tuple[int, int]:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child:
        os.close(write_end)
        return child, read_end
    os.close(read_end)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RESTART_COUNT": str(attempt),
        "GLOO_SOCKET_IFNAME": "lo",
    }
    code, ended = 1, None
    try:
        ended = Ended(0, result=work())
        code = 0
    except BaseException as error:
        code = getattr(error, "exit_code", 1)
        ended = Ended(code, error=str(error), kind=type(error).__name__)
    finally:
        with contextlib.suppress(BaseException), os.fdopen(write_end, "wb") as pipe:
            pickle.dump(ended, pipe)
        os._exit(code if isinstance(code, int) else 1)


def _await(child: int, read_end: int, deadline: float) -> Ended:
    with os.fdopen(read_end, "rb") as pipe:
        os.set_blocking(pipe.fileno(), False)
        content, status = b"", None
        while status is None:
            with contextlib.suppress(BlockingIOError):
                content += pipe.read() or b""
            done, raw = os.waitpid(child, os.WNOHANG)
            if done:
                status = os.waitstatus_to_exitcode(raw)
                content += pipe.read() or b""
            elif time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                raise AssertionError(f"process {child} did not end within {SECONDS:.0f} s")
            else:
                time.sleep(0.01)
    ended = pickle.loads(content) if content else Ended(status)
    ended.code = status
    return ended
