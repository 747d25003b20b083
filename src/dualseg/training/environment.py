"""What the bits of a result depend on beside recipe and data: device, threads, versions."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

import dualseg
from dualseg.config import Recipe
from dualseg.core.errors import InputError


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one.

    Raises:
        InputError: The device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    missing_cuda = device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    missing_mps = device.type == "mps" and not torch.backends.mps.is_available()
    if missing_cuda or missing_mps:
        raise InputError(f"runtime.device {name} is not there; use cpu or auto")
    return device


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


def describe_environment(recipe: Recipe, device: torch.device) -> dict[str, Any]:
    """What a checkpoint notes, to say on resume what differs."""
    return {
        "threads": torch.get_num_threads(),
        "device": device.type,
        "precision": recipe.training.precision,
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
        f"{key} {before.get(key)} -> {value}"
        for key, value in now.items()
        if key != "threads" and before.get(key) != value
    ]
    if changed:
        report(f"warning: {', '.join(changed)}; the result may not be bit-identical")
