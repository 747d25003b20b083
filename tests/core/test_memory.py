import subprocess
import sys

from dualseg.core.memory import keep_freed_memory


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
