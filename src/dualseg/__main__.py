"""The `dualseg` command, which `python -m dualseg` is too."""

import os
import signal
from types import FrameType
from typing import NoReturn

SAID = {signal.SIGINT: b"interrupted\n", signal.SIGTERM: b"terminated\n"}


def main() -> NoReturn:
    """Runs the command line, where Ctrl-C and SIGTERM end even the imports without a traceback."""
    for signum in SAID:
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as in a shell's background
            signal.signal(signum, _leave)

    from dualseg.cli.main import main as run

    run()


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    """Nothing is begun yet; an exception would meet the importer and libraries that catch all."""
    os.write(2, SAID[signal.Signals(signum)])
    os._exit(128 + signum)


if __name__ == "__main__":
    main()
