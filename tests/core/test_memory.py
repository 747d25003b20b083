import gc
import os
import subprocess
import sys

import pytest

from dualseg.core.memory import available_memory, keep_freed_memory, without_cycle_search


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


MIB = 2**20
HELD = 3 * os.sysconf("SC_PAGE_SIZE")
V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"


def machine(root, *, cgroup: str | None, **files: str):
    """A /proc with 1000 MiB free, of which this process holds 3 pages, and files under /sys."""
    known = {
        "proc/meminfo": f"MemTotal: 9999999 kB\nMemAvailable: {1000 * 1024} kB\n",
        "proc/self/statm": "900 3 1 1 0 1 0",
    }
    if cgroup is not None:
        known["proc/self/cgroup"] = cgroup
    for path, content in {**known, **files}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


def group(path, *, limit, used, cached=0, v1=False) -> dict[str, str]:
    names = ("limit_in_bytes", "usage_in_bytes", "total_") if v1 else ("max", "current", "")
    return {
        f"{path}/memory.{names[0]}": f"{limit}\n",
        f"{path}/memory.{names[1]}": f"{used * MIB}\n",
        f"{path}/memory.stat": f"anon 7\n{names[2]}inactive_file {cached * MIB}\n",
    }


def test_without_a_control_group_the_machine_s_memory_counts(tmp_path):
    assert available_memory(machine(tmp_path, cgroup=None)) == 1000 * MIB + HELD


@pytest.mark.parametrize(
    ("cgroup", "files"),
    [
        ("0::/\n", group(V2, limit=400 * MIB, used=150, cached=50)),
        ("0::/a/b\n", group(f"{V2}/a/b", limit=400 * MIB, used=150, cached=50)),
        ("0::/host/only\n", group(V2, limit=400 * MIB, used=150, cached=50)),
        (
            "0::/a/b\n",
            group(f"{V2}/a/b", limit="max", used=1) | group(f"{V2}/a", limit=400 * MIB, used=100),
        ),
        (
            "12:cpu:/x\n3:hugetlb,memory:/x\n0::/\n",
            group(f"{V1}/x", limit=400 * MIB, used=150, cached=50, v1=True),
        ),
    ],
    ids=["container", "group", "path of the host", "group above", "version 1"],
)
def test_a_tighter_limit_of_a_control_group_counts(tmp_path, cgroup, files):
    # 400 MiB less the 100 that are used and cannot go
    assert available_memory(machine(tmp_path, cgroup=cgroup, **files)) == 300 * MIB + HELD


@pytest.mark.parametrize(
    ("limit", "v1"), [("max", False), (9000 * MIB, False), (9223372036854771712, True)]
)
def test_a_limit_above_what_is_free_changes_nothing(tmp_path, limit, v1):
    cgroup, place = ("2:memory:/\n", V1) if v1 else ("0::/\n", V2)
    root = machine(tmp_path, cgroup=cgroup, **group(place, limit=limit, used=100, v1=v1))
    assert available_memory(root) == 1000 * MIB + HELD


def test_a_system_that_does_not_say_is_an_error(tmp_path):
    with pytest.raises(OSError, match="meminfo"):
        available_memory(tmp_path)
