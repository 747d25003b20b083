import os
import subprocess
import sys

import pytest

CODE = """
from dualseg.core.threads import sleep_soon_when_waiting
print(sleep_soon_when_waiting())
import torch
print(sleep_soon_when_waiting({}))
"""
OURS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def run_alone(**given: str) -> subprocess.CompletedProcess[str]:
    """Whether it was set before and after torch came; on stderr what OpenMP goes by."""
    kept = {key: value for key, value in os.environ.items() if key not in OURS}
    environment = {**kept, "OMP_DISPLAY_ENV": "VERBOSE", **given}
    return subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=environment
    )


def test_openmp_goes_by_it():
    done = run_alone()

    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("this torch does not come with GNU OpenMP")
    assert done.stdout.split() == ["True", "False"]
    assert "GOMP_SPINCOUNT = '3000'" in done.stderr


@pytest.mark.parametrize("given", [{"GOMP_SPINCOUNT": "77"}, {"OMP_WAIT_POLICY": "active"}])
def test_what_the_user_has_set_stays(given: dict[str, str]):
    done = run_alone(**given)

    assert done.stdout.split() == ["False", "False"]
    assert "GOMP_SPINCOUNT = '3000'" not in done.stderr
