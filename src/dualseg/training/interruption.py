"""Ctrl-C and SIGTERM: finish the step, save, leave. A second signal ends the process at once.

SIGUSR1: save after the step and go on.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):  # noqa: N818  (not an error: the run is saved and can be resumed)
    """The run was asked to stop and has saved its state.

    Args:
        signum: The signal.
        step: Steps that are done and saved.
    """

    def __init__(self, signum: int, step: int):
        self.signum = signum
        self.step = step
        super().__init__(f"interrupted after step {step}; the state is saved")

    @property
    def exit_code(self) -> int:
        """130 for Ctrl-C, 143 for SIGTERM, as shells count."""
        return 128 + self.signum


class StopRequest:
    """Remembers the first signal; the training loop asks for it between steps."""

    signum: int | None = None
    save_asked: bool = False

    def __bool__(self) -> bool:
        return self.signum is not None

    def receive(self, signum: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self.signum is not None:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        self.signum = signum

    def receive_save(self, signum: int, frame: FrameType | None) -> None:
        """The handler of SIGUSR1."""
        self.save_asked = True


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Collects SIGINT, SIGTERM and SIGUSR1 inside the block; the old handlers come back after it.

    Outside the main thread nothing can be collected, and signals work as ever.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    receivers = {signal.SIGINT: request.receive, signal.SIGTERM: request.receive}
    if hasattr(signal, "SIGUSR1"):  # not on Windows
        receivers[signal.SIGUSR1] = request.receive_save
    before = {signum: signal.signal(signum, receive) for signum, receive in receivers.items()}
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
