import gc
import subprocess
import sys

import pytest

from dualseg.core.memory import keep_freed_memory, without_cycle_search


def test_kept_memory_is_used_again():
    # In a process of its own, because the setting lasts as long as the process.
    code = """
import resource, torch
from dualseg.core.memory import keep_freed_memory
kept = keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):  # until the heap has grown as far as it needs
    torch.zeros(8 << 20)
before = faults()
for _ in range(10):
    torch.zeros(8 << 20)
print(int(kept), faults() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kept, faults = map(int, done.stdout.split())
    if kept:
        assert faults < 10 * 8192 / 4  # ten tensors of 32 MiB would be 81920 fresh pages


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert keep_freed_memory() is False


def fail_without_cycle_search():
    with without_cycle_search():
        assert not gc.isenabled()
        raise KeyError


def test_the_search_for_cycles_rests_and_goes_on_also_after_an_error():
    with pytest.raises(KeyError):
        fail_without_cycle_search()
    assert gc.isenabled()


def test_a_search_that_was_off_stays_off():
    gc.disable()
    try:
        with without_cycle_search():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
