import os
import subprocess
import sys

import pytest

SET = "from dualseg.core.threads import sleep_soon_when_waiting; print(sleep_soon_when_waiting())"
TORCH = "import torch"
OURS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def run_alone(*lines: str, **given: str) -> subprocess.CompletedProcess[str]:
    """On stdout whether it was set, on stderr what OpenMP goes by."""
    kept = {key: value for key, value in os.environ.items() if key not in OURS}
    environment = {**kept, "OMP_DISPLAY_ENV": "VERBOSE", **given}
    command = [sys.executable, "-c", "\n".join(lines)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment)


def test_openmp_goes_by_it():
    done = run_alone(SET, TORCH)

    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("this torch does not come with GNU OpenMP")
    assert done.stdout.strip() == "True"
    assert "GOMP_SPINCOUNT = '3000'" in done.stderr


def test_it_says_when_it_comes_too_late():
    assert run_alone(TORCH, SET).stdout.strip() == "False"


@pytest.mark.parametrize("given", [{"GOMP_SPINCOUNT": "77"}, {"OMP_WAIT_POLICY": "active"}])
def test_what_the_user_has_set_stays(given: dict[str, str]):
    done = run_alone(SET, TORCH, **given)

    assert done.stdout.strip() == "False"
    assert "GOMP_SPINCOUNT = '3000'" not in done.stderr


def test_the_command_line_sets_it():
    done = run_alone(
        "import sys; sys.argv = ['dualseg', 'models']",
        "from dualseg.cli.main import main",
        "main()",
    )

    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("this torch does not come with GNU OpenMP")
    assert "GOMP_SPINCOUNT = '3000'" in done.stderr
