"""How the process takes memory and gives it back, and how much it may have."""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # glibc's mallopt parameters
_KEEP_BYTES = 2**31 - 1
_GROW_BYTES = 256 << 20
_CGROUP_FILES = {  # limit, use, and the line of memory.stat for the cached files that can go
    "v2": ("memory.max", "memory.current", "inactive_file"),
    "v1": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def keep_freed_memory() -> bool:
    """Has glibc keep freed memory for the next tensor instead of giving it back at once.

    A training step on a CPU frees and takes tensors of tens of megabytes; given back, each comes
    again as fresh pages that the kernel must clear. Keeping them took a third off a DSRL step (see
    docs/performance.md). The process's memory then does not shrink before it ends, so this is for
    the command line's own process and not done by `import dualseg`.

    Returns:
        Whether it worked; it does nothing but on Linux with glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _KEEP_BYTES), (_TOP_PAD, _GROW_BYTES))
    results = [mallopt(parameter, value) for parameter, value in settings]
    return results == [1, 1, 1]


@contextmanager
def without_cycle_search() -> Iterator[None]:
    """Python does not look for cycles of garbage meanwhile; whatever is in none is freed as ever.

    Where lists are made by the hundred thousand, Python goes through all of its memory again and
    again, which in a large process takes longer than making them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process holds and could still get, from the machine and from every limit of
    its control groups, which is what bounds a container.

    Args:
        root: Where `proc` and `sys` are.

    Raises:
        OSError, ValueError: The system does not say.
    """
    free = _line(root / "proc/meminfo", "MemAvailable:") * 1024
    pages = int((root / "proc/self/statm").read_text().split()[1])
    left = [free, *_left_in_cgroups(root)]
    return max(0, min(left)) + pages * os.sysconf("SC_PAGE_SIZE")


def _left_in_cgroups(root: Path) -> Iterator[int]:
    for folder, version in _memory_cgroups(root):
        limit_file, used_file, cached = _CGROUP_FILES[version]
        try:
            limit = (folder / limit_file).read_text().strip()
            used = int((folder / used_file).read_text())
        except OSError:  # the topmost group of a machine has no limit
            continue
        if limit != "max":
            yield int(limit) - used + _line(folder / "memory.stat", cached)


def _memory_cgroups(root: Path) -> Iterator[tuple[Path, str]]:
    """The process's group and those above it, each with its version.

    In a container the path may be the host's, of which only the mount itself is there to see.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            mount, version = root / "sys/fs/cgroup", "v2"
        elif "memory" in controllers.split(","):
            mount, version = root / "sys/fs/cgroup/memory", "v1"
        else:
            continue
        folder = mount / path.lstrip("/")
        while folder != mount:
            yield folder, version
            folder = folder.parent
        yield mount, version


def _line(path: Path, name: str) -> int:
    """The number behind a name at the beginning of a line.

    Raises:
        ValueError: There is no such line.
    """
    for line in path.read_text().splitlines():
        words = line.split()
        if words and words[0] == name:
            return int(words[1])
    raise ValueError(f"{path} has no line {name}")
