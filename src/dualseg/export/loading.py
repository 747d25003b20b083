"""Exported files opened: the only door, whatever the runtime."""

import os
from pathlib import Path
from typing import Literal, get_args

from torch import nn

from dualseg.checkpoints.model_files import is_exported
from dualseg.checkpoints.model_files import load_model as load_network
from dualseg.core.errors import InputError, nearest
from dualseg.core.facts import ModelFacts
from dualseg.export.exported import Exported
from dualseg.export.fastest import exported_in, fastest
from dualseg.export.note import FACTS_KEY, NOTE_KEY, unpacked
from dualseg.export.onnx_graphs import read_onnx
from dualseg.export.openvino_graphs import read_openvino
from dualseg.export.programs import read_texts
from dualseg.export.runtimes import ABLE, Opened, RuntimeName

Runtime = Literal["auto", "eager", "compiled", "openvino", "onnxruntime"]
CODE = (".pt", ".pth", ".ts", ".so", ".pkl", ".ckpt")


def load_exported(path: str | Path, *, runtime: str | None = None) -> Exported:
    """Opens what `dualseg export` wrote. No code in the file is run.

    Args:
        path: `.onnx`, `.xml` with its `.bin`, or `.pt2`.
        runtime: None: the one the file was made for. "auto": the fastest here, which is measured
            once and remembered.

    Raises:
        InputError: No such file, a runtime that is unknown, not installed or cannot run it, or
            contents that are damaged or not dualseg's.
    """
    if runtime is not None and runtime not in get_args(Runtime):
        raise InputError(f"runtime {runtime!r} is unknown; {nearest(runtime, get_args(Runtime))}")
    opened = open_file(Path(path))
    chosen: RuntimeName = opened.able[0] if runtime in (None, "auto") else runtime  # type: ignore[assignment]
    if chosen not in opened.able:
        raise InputError(f"{chosen} cannot run {path}; use {' or '.join(opened.able)}")
    if runtime == "auto":
        return fastest(opened)
    return exported_in(opened, chosen)


def load_model(path: str | Path, *, runtime: str | None = None) -> nn.Module:
    """Any model: a run folder, a `.safetensors` file, or an exported file in a runtime.

    Raises:
        InputError: Nothing is there, it cannot be read, or a runtime is given for a network.
    """
    if is_exported(path):
        return load_exported(path, runtime=runtime)
    if runtime is not None:
        raise InputError(
            f"--runtime is for exported files, and {path} is none: dualseg export it first"
        )
    return load_network(path)


def facts_of(path: str | Path) -> ModelFacts:
    """What an exported file says of its network, without starting a runtime.

    Raises:
        InputError: As `load_exported`.
    """
    return open_file(Path(path)).facts


def open_file(path: Path) -> Opened:
    """Reads and checks a file.

    Raises:
        InputError: As `load_exported`.
    """
    suffix = path.suffix.lower()
    if suffix not in ABLE:
        why = " and can run code when it is opened" if suffix in CODE else ""
        raise InputError(
            f"{path} is no exported file{why}; those end in {', '.join(ABLE)} (.xml has a .bin "
            "beside it)"
        )
    if not os.path.isfile(path):  # unlike pathlib's, not surprised by a name too long
        raise InputError(f"there is no file {path}")
    keys, graph = (FACTS_KEY, NOTE_KEY), None
    if suffix == ".onnx":
        graph = read_onnx(path)
        texts = {entry.key: entry.value for entry in graph.metadata_props}
    elif suffix == ".xml":
        model = read_openvino(path)
        have = [key for key in keys if model.has_rt_info(key.split("."))]
        texts = {key: str(model.get_rt_info(key.split(".")).value) for key in have}
    else:
        texts = read_texts(path, keys)
    facts, note = unpacked(texts, path)
    return Opened(path, graph, facts, note)
