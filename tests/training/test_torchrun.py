"""The command itself under torchrun; slow, since every process imports torch anew."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import assert_same_outcome

pytestmark = pytest.mark.slow

RECIPE = """
model: {name: fcn, backbone: resnet18, pretrained: false}
data: {name: streets, crop_size: [64, 64]}
training: {max_steps: 20, batch_size: 4, eval_every: 20, checkpoint_every: 4, lr: 0.01}
runtime: {device: cpu}
"""


def torchrun(folder: Path, *arguments: str, processes: int, restarts: int = 0) -> subprocess.Popen:
    (folder / "tiny.yaml").write_text(RECIPE)
    return start(folder, "train", "tiny.yaml", *arguments, processes=processes, restarts=restarts)


def start(folder: Path, *arguments: str, processes: int, restarts: int = 0) -> subprocess.Popen:
    """`dualseg ARGUMENTS` in several processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), "--max-restarts", str(restarts)]
    command += ["-m", "dualseg", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )


def newest_step(run: Path) -> int:
    link = run / "checkpoints/last"
    return int(os.readlink(link).removeprefix("step_")) if link.is_symlink() else -1


def kill_rank(agent: int, rank: int) -> None:
    """SIGKILL to the child of torchrun that has this rank."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            is_child = f"\nPPid:\t{agent}\n" in status.read_text()
            environment = (status.parent / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if is_child and f"RANK={rank}".encode() in environment:
            os.kill(int(status.parent.name), signal.SIGKILL)
            return
    raise AssertionError(f"torchrun has no process of rank {rank}")


def test_wrong_input_is_told_once(tmp_path):
    output = torchrun(tmp_path, "--out", "run", processes=3).communicate(timeout=120)[1].decode()
    assert output.count("error: training.batch_size 4") == 1
    assert "this is a fault of dualseg" not in output
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds its processes in /proc")
def test_a_process_killed_twice_is_restarted_and_the_run_ends_bit_identical(tmp_path):
    whole = torchrun(tmp_path, "--out", "whole", processes=2)
    assert whole.wait(timeout=200) == 0
    killed = torchrun(tmp_path, "--out", "killed", processes=2, restarts=3)
    for goal in (4, 12):
        while newest_step(tmp_path / "killed") < goal:
            assert killed.poll() is None
            time.sleep(0.02)
        kill_rank(killed.pid, rank=1)
    assert killed.wait(timeout=200) == 0
    assert_same_outcome(tmp_path / "killed", tmp_path / "whole")


def test_an_evaluation_is_shared_and_told_once(tmp_path):
    torchrun(tmp_path, "--out", "run", processes=1).communicate(timeout=200)
    asked = ("evaluate", "run", "--scores", "interval,calibration", "--json")

    alone = start(tmp_path, *asked, processes=1).communicate(timeout=120)[0]
    shared = start(tmp_path, *asked, processes=3).communicate(timeout=200)[0]

    assert json.loads(shared)["num_images"] == 40
    assert shared == alone
