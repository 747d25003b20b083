"""What the bits of a result depend on beside recipe and data: device, threads, versions."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

import dualseg
from dualseg.config import Recipe
from dualseg.config.runtime import DEVICE, DEVICES
from dualseg.core.errors import InputError
from dualseg.core.processes import ALONE, Processes

UNSAID = {"processes": 1}  # what a checkpoint of an older version means by leaving it out
CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
CUBLAS_REPEATABLE = ":4096:8"  # cuBLAS repeats its bits only with a fixed workspace
WHERE_A_DEVICE_IS_SAID = "--device, or runtime.device of a recipe"


def choose_device(name: str, processes: Processes = ALONE) -> torch.device:
    """`auto` takes a GPU where there is one; each of many processes takes its own.

    Raises:
        InputError: There is no such device, it is not there, or many processes were given one GPU.
    """
    if not DEVICE.fullmatch(name):
        raise InputError(f"there is no device {name!r}; give {DEVICES}")
    if processes.are_many and name.startswith("cuda:"):
        raise InputError(
            f"device {name} is one GPU, and there are {processes.world} processes; use cuda "
            f"({WHERE_A_DEVICE_IS_SAID}), which gives each its own"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if processes.are_many and name == "cuda":
        name = f"cuda:{processes.local_rank}"
    device = torch.device(name)
    missing_cuda = device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    missing_mps = device.type == "mps" and not torch.backends.mps.is_available()
    if missing_cuda or missing_mps:
        raise InputError(
            f"this machine has no device {name}; use cpu or auto ({WHERE_A_DEVICE_IS_SAID})"
        )
    if processes.are_many and device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def require_precision(precision: str, device: torch.device) -> None:
    """Refuses fp16 where nothing computes faster in it.

    Raises:
        InputError: It is asked for on another device than a GPU of NVIDIA's or AMD's.
    """
    if precision == "fp16" and device.type != "cuda":
        raise InputError(
            f"training.precision fp16 is for CUDA: on {device.type} it is slower than fp32 and "
            "needs its loss scaled all the same; use bf16 or fp32"
        )


@contextmanager
def repeatable(wanted: bool) -> Iterator[None]:
    """Inside the block only algorithms run that give the same bits every time, if `wanted`.

    An operation that has none raises, and names itself.
    """
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory  # finds faults; costs time
    workspace = os.environ.get(CUBLAS_VARIABLE)
    os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_REPEATABLE)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
        memory.fill_uninitialized_memory = filled
        if workspace is None:
            del os.environ[CUBLAS_VARIABLE]


@contextmanager
def using_threads(count: int | None) -> Iterator[None]:
    """Computes with `count` threads inside the block; None leaves the number as it is."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def describe_environment(
    recipe: Recipe, device: torch.device, processes: Processes = ALONE
) -> dict[str, Any]:
    """What a checkpoint notes, to say on resume what differs."""
    return {
        "threads": torch.get_num_threads(),
        "device": device.type,
        "precision": recipe.training.precision,
        "processes": processes.world,
        "torch": torch.__version__,
        "dualseg": dualseg.__version__,
    }


def threads_to_resume(
    recipe: Recipe, before: Mapping[str, Any], report: Callable[[str], None]
) -> int | None:
    """The thread count that keeps the bits: the checkpoint's, unless the recipe names another."""
    saved, wanted, ours = before.get("threads"), recipe.runtime.threads, torch.get_num_threads()
    if wanted is not None:
        if wanted != saved:
            report(
                f"warning: the run used {saved} threads and goes on with {wanted}; sums are "
                "rounded otherwise, so the result will not be bit-identical"
            )
        return wanted
    if saved is not None and saved != ours:
        report(f"using {saved} threads as the run did before, not this machine's {ours}")
    return saved


def report_differences(
    before: Mapping[str, Any], now: Mapping[str, Any], report: Callable[[str], None]
) -> None:
    """Says in one line what changed since the checkpoint, threads aside."""
    changed = [
        f"{key} {before.get(key, UNSAID.get(key))} -> {value}"
        for key, value in now.items()
        if key != "threads" and before.get(key, UNSAID.get(key)) != value
    ]
    if changed:
        report(f"warning: {', '.join(changed)}; the result may not be bit-identical")
