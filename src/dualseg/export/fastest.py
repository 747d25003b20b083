"""The fastest runtime for a file on this machine: measured once, then remembered."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dualseg.checkpoints.json_files import read_json
from dualseg.core.errors import InputError
from dualseg.core.files import write_json
from dualseg.core.geometry import Size
from dualseg.data.loading.cache import default_cache_folder
from dualseg.export.exported import Exported
from dualseg.export.layers import relative_difference
from dualseg.export.runtimes import Opened, RuntimeName, entries_of

FILE = "runtimes.json"
FORMAT = "dualseg-runtimes/1"
DEFAULT_SIZE: Size = (256, 512)
ROUNDS = 5
MAX_REMEMBERED = 500
MAX_RELATIVE = {"fp32": 1e-4, "bf16": 0.1, "int8": 0.3}
"""Beyond it a runtime does not answer as the one the file was compared in, and is not taken."""
PACKAGES = ("torch", "openvino", "onnxruntime")


def fastest(opened: Opened, *, cache: Path | None = None) -> Exported:
    """The file in the fastest of the runtimes that are installed and answer alike.

    "compiled" is not tried: it would compile for a minute in every process.

    Args:
        opened: The file.
        cache: Folder of the JSON file that remembers; the user's cache folder where not given.

    Raises:
        InputError: No runtime for the file is installed.
    """
    place = (cache or default_cache_folder()) / FILE
    key = _key(opened)
    known = _remembered(place).get(key)
    if known in opened.able:
        try:
            return exported_in(opened, known)
        except InputError:
            pass  # it was uninstalled: measured anew
    candidates = _started(opened)
    times = measured(candidates, example_images(opened))
    best = min(times, key=lambda name: times[name])
    _remember(place, key, best)
    return candidates[best]


def exported_in(opened: Opened, runtime: RuntimeName) -> Exported:
    """The file in one runtime.

    Raises:
        InputError: As `entries_of`.
    """
    return Exported(entries_of(opened, runtime), opened.facts, opened.note, runtime=runtime)


def _started(opened: Opened) -> dict[RuntimeName, Exported]:
    """Every candidate that can be started."""
    started: dict[RuntimeName, Exported] = {}
    problems = []
    for name in opened.able:
        if name == "compiled":
            continue
        try:
            started[name] = exported_in(opened, name)
            started[name].start()
        except InputError as error:
            started.pop(name, None)
            problems.append(f"{name}: {error}")
    if not started:
        raise InputError(f"no runtime for {opened.path} can be started here:", problems)
    return started


def measured(candidates: dict[RuntimeName, Exported], images: Tensor) -> dict[RuntimeName, float]:
    """Seconds an image of those that answer as the first does, timed in turns; the best counts."""
    expected = next(iter(candidates.values())).raw_logits(images).float().numpy()
    times: dict[RuntimeName, float] = {}
    for name, exported in candidates.items():
        limit = MAX_RELATIVE[exported.note.precision]
        if relative_difference(expected, exported.raw_logits(images).float().numpy()) <= limit:
            times[name] = float("inf")
    for _ in range(ROUNDS):
        for name in times:
            start = time.perf_counter()
            candidates[name].raw_logits(images)
            times[name] = min(times[name], time.perf_counter() - start)
    return times


def example_images(opened: Opened) -> Tensor:
    """Smooth noise of the size the file is for, or was trained on."""
    height, width = opened.note.size or opened.facts.training_size or DEFAULT_SIZE
    random = np.random.default_rng(0)
    coarse = random.uniform(0, 255, (1, opened.facts.images.num_channels, 8, 16))
    smooth = torch.nn.functional.interpolate(
        torch.from_numpy(coarse).float(), size=(height, width), mode="bilinear"
    )
    return smooth.to(torch.uint8) if opened.facts.images.max_value is None else smooth


def _key(opened: Opened) -> str:
    """Of the file's contents, this machine, and the versions of the runtimes."""
    is_pair = opened.path.suffix.lower() == ".xml"
    paths = [opened.path, opened.path.with_suffix(".bin")][: 2 if is_pair else 1]
    parts = [*map(_digest, paths), *_machine(), *map(_version, PACKAGES)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _machine() -> Sequence[str]:
    capability = torch.backends.cpu.get_cpu_capability()
    threads, cores = str(torch.get_num_threads()), str(os.cpu_count())
    return [platform.system(), platform.machine(), _processor(), capability, threads, cores]


def _processor() -> str:
    """Its model, where the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("model name")), platform.processor())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _remembered(place: Path) -> dict[str, str]:
    """What stands in the file; nothing where it is missing, damaged or of another version."""
    try:
        content = read_json(place)
    except InputError:
        return {}
    runtimes = content.get("runtimes")
    if content.get("format") != FORMAT or not isinstance(runtimes, dict):
        return {}
    return {key: name for key, name in runtimes.items() if isinstance(name, str)}


def _remember(place: Path, key: str, runtime: str) -> None:
    """Written whole; where the folder cannot be written, it is measured again next time."""
    others = {k: name for k, name in _remembered(place).items() if k != key}
    kept = dict([*others.items(), (key, runtime)][-MAX_REMEMBERED:])
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, {"format": FORMAT, "runtimes": kept})
    except (InputError, OSError):
        return
