"""What a command says when the fault is ours, or nobody's."""

import os

import pytest

from dualseg.data.datasets import streets


@pytest.fixture
def failing(dualseg, monkeypatch, tmp_path):
    """Runs a command, after `before`, whose work raises an error."""

    def run(error, *before):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr(streets, "write_streets", fail)
        return dualseg(*before, "data", "make", tmp_path / "streets")

    monkeypatch.setenv("DUALSEG_DEBUG", "")
    return run


@pytest.mark.parametrize("error", [RuntimeError("no such luck"), EOFError(), OSError("odd")])
def test_an_internal_error_is_told_without_its_traceback(failing, error):
    done = failing(error)
    assert (done.code, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    first, second = done.stderr.splitlines()
    assert first.startswith(f"error: {type(error).__name__}")
    assert str(error) in first
    assert f"{os.path.join('dualseg', 'cli', 'data.py')}, line" in first
    assert "this is a fault of dualseg, not yours" in second
    assert "`dualseg --debug COMMAND ...`" in second


def test_debug_shows_the_traceback(failing):
    done = failing(RuntimeError("no such luck"), "--debug")
    assert done.code == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "RuntimeError: no such luck" in done.stderr
    assert "this is a fault of dualseg, not yours" in done.stderr


@pytest.mark.parametrize("variable", [{"DUALSEG_DEBUG": "1"}, {"WORLD_SIZE": "2"}])
def test_so_does_the_variable_and_every_process_of_torchrun(failing, monkeypatch, variable):
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    assert "Traceback (most recent call last)" in failing(RuntimeError("no such luck")).stderr


def test_an_interrupted_command_says_so(failing):
    done = failing(KeyboardInterrupt())
    assert (done.code, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_debug_without_a_command_is_a_call_for_help(dualseg, monkeypatch):
    monkeypatch.setenv("DUALSEG_DEBUG", "")
    assert "Usage:" in dualseg("--debug").stdout
