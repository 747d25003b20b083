"""The command as a process of its own: signals, exit codes, a full disk."""

import os
import resource
import signal
import subprocess
import sys
import time

import pytest


def start(*arguments, limit_bytes=None):
    """Starts `python -m dualseg`; files it writes may be limited in size, as on a full disk."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.Popen(
        [sys.executable, "-m", "dualseg", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit if limit_bytes else None,
    )


def wait_for(path, process):
    for _ in range(600):
        if path.exists() and path.stat().st_size:
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    raise AssertionError(f"{path} never came")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_training_saves_and_can_be_resumed(
    dualseg, street, recipe, tmp_path, signum, code
):
    run = tmp_path / "run"
    long = ("--set", "training.max_steps=100000", "--set", "training.eval_every=100000")
    process = start("train", recipe, "--data", street, "--out", run, *long)
    wait_for(run / "metrics.jsonl", process)
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, ""), err
    assert "the state is saved" in err
    assert "Traceback" not in err
    steps = int(err.split("after step ")[-1].split(";")[0])
    resumed = dualseg("resume", run, "--set", f"training.max_steps={steps + 2}", "--json")
    assert resumed.code == 0, resumed.stderr
    assert resumed.json["step"] == steps + 2


@pytest.mark.parametrize(
    ("signum", "code", "word"),
    [(signal.SIGTERM, 143, "terminated\n"), (signal.SIGINT, 130, "interrupted\n")],
)
def test_a_stopped_command_says_so_and_leaves_nothing(tmp_path, signum, code, word):
    process = start("data", "make", tmp_path / "streets")
    for _ in range(600):
        if list(tmp_path.rglob("*.png")):
            break
        time.sleep(0.1)
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.endswith(word)
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("signum", "code", "word"),
    [(signal.SIGTERM, 143, "terminated\n"), (signal.SIGINT, 130, "interrupted\n")],
)
def test_a_signal_during_the_imports_leaves_no_traceback(signum, code, word):
    finder = (
        "import os, sys; from importlib.machinery import PathFinder\n"
        "class Killing(PathFinder):\n"
        "    def find_spec(name, *more):\n"
        f"        if name == 'typer': os.kill(os.getpid(), {int(signum)})\n"
        "sys.meta_path.insert(0, Killing)\n"
        "from dualseg.__main__ import main; main()"
    )
    found = subprocess.run(
        [sys.executable, "-c", finder], capture_output=True, text=True, timeout=60
    )
    assert (found.returncode, found.stdout, found.stderr) == (code, "", word)


def test_a_reader_that_has_seen_enough_is_no_fault():
    process = start("recipes", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == ""


def test_a_request_to_save_ends_no_command_outside_its_steps():
    begin = "import os, signal; from dualseg.cli import main; "
    ask = "main._run = lambda: os.kill(os.getpid(), signal.SIGUSR1) or 7; main.main()"
    assert subprocess.run([sys.executable, "-c", begin + ask], timeout=60).returncode == 7


def test_a_full_disk_is_one_message_and_nothing_half_written(street, recipe, tmp_path):
    run = tmp_path / "run"
    process = start("train", recipe, "--data", street, "--out", run, limit_bytes=200_000)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, ""), err
    assert "no space left to write" in err
    assert f"No step is saved yet; dualseg resume {run} begins anew" in " ".join(err.split())
    assert "Traceback" not in err
    assert not list(run.rglob(".tmp-*"))
    assert not list((run / "checkpoints").glob("step_*"))


def test_help_and_version_of_the_installed_command():
    process = start("--version")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith("dualseg 0.")


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_a_path_that_is_no_utf8_is_printed_as_the_bytes_it_is(street, tmp_path, encoding):
    out = os.fsencode(tmp_path) + b"/stra\xdfe.png"
    finished = subprocess.run(
        [sys.executable, "-m", "dualseg", "data", "show", street, "--out", out],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=120,
    )
    assert (finished.returncode, finished.stdout) == (0, out + b"\n"), finished.stderr
    assert os.path.getsize(out)
