"""How the threads that share a calculation wait for each other."""

import os
import sys

MAX_THREADS = 1024
"""More are a slip of the hand, and some libraries die of many times more."""
SPINS = 3000  # some tens of microseconds; 300 000 where nothing is set
SPINS_VARIABLE = "GOMP_SPINCOUNT"
_POLICY_VARIABLE = "OMP_WAIT_POLICY"


def sleep_soon_when_waiting() -> bool:
    """Has GNU OpenMP's threads sleep after a short wait for the others instead of a long one.

    As it comes, a thread that has done its share turns in a loop for milliseconds. Alone on a
    machine that is as good as sleeping. Beside other busy processes it uses up its turn on the
    processor by waiting and is then put aside just when its next share begins, layer by layer
    (docs/performance.md).

    Torch reads the variable once, so this comes before `import torch`. It is for the command
    line's own process and its children, not done by `import dualseg`. What the user has set stays.

    Returns:
        Whether it was set here.
    """
    is_set = SPINS_VARIABLE in os.environ or _POLICY_VARIABLE in os.environ
    if is_set or "torch" in sys.modules:
        return False
    os.environ[SPINS_VARIABLE] = str(SPINS)
    return True
