"""The formats: each builds its graph, writes it, and runs a module the same way for the gate."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dualseg.core.facts import ModelFacts
from dualseg.core.files import DiskFullError, write_bytes
from dualseg.core.geometry import Size, scaled_size
from dualseg.export.int8 import quantized
from dualseg.export.note import ExportNote, packed
from dualseg.export.onnx_graphs import joined, onnx_of
from dualseg.export.openvino_graphs import joined_models, openvino_of
from dualseg.export.packages import need
from dualseg.export.pieces import LabelMap, Network, Preprocessing
from dualseg.export.programs import Program, program_of, write_pt2
from dualseg.export.sessions import (
    ExportPrecision,
    Session,
    eager_session,
    onnxruntime_session,
    openvino_session,
)
from dualseg.export.tracing import example

FormatName = Literal["onnx", "openvino", "torch"]
SPARE_BYTES = 64 << 20
TRACED_SIZE = (101, 139)
"""Of the network's input where sizes are free; odd, so that nothing fits by chance."""


@dataclass(frozen=True)
class Plan:
    """What goes into a file.

    Args:
        network: The part with the weights, rewritten.
        model: The network as it was loaded.
        facts: Of the network.
        precision: In which the file computes.
        size: (height, width) of the images where these are fixed.
        with_label_map: Whether the graph goes on to a label map.
        calibration: Inputs of the network (1, C, h, w) for int8.
    """

    network: Network
    model: nn.Module
    facts: ModelFacts
    precision: ExportPrecision
    size: Size | None
    with_label_map: bool
    calibration: Sequence[NDArray[np.float32]] = ()

    @property
    def images(self) -> Tensor:
        """An example of the images the file takes."""
        size = self.size or scaled_size(TRACED_SIZE, 1.0 / self.facts.input_scale)
        of_bytes = self.facts.images.max_value is None
        dtype = torch.uint8 if of_bytes else torch.float32
        return example(self.facts.images.num_channels, size, dtype=dtype)

    @property
    def network_size(self) -> Size:
        """Of the network's input, in the example."""
        size = (self.images.shape[-2], self.images.shape[-1])
        return scaled_size(size, self.facts.input_scale)

    @property
    def network_input(self) -> Tensor:
        """An example of what the network itself reads."""
        return example(self.facts.images.num_channels, self.network_size)

    @property
    def logits(self) -> Tensor:
        """An example of what it gives."""
        with torch.no_grad():
            return torch.zeros_like(self.network(self.network_input))


class Format:
    """One format.

    Args:
        suffix: Of its files.
        precisions: What it can be asked for.
        packages: What writing and comparing needs.
        build: Makes the graph of a plan.
        write: Puts a graph, facts and note into files; the first stands at the path given.
        start: A module as the format's runtime runs it; for the search of a layer that differs.
    """

    def __init__(
        self,
        suffix: str,
        precisions: Sequence[ExportPrecision],
        *,
        packages: Sequence[str],
        build: Callable[[Plan], Any],
        write: Callable[[Any, Path, ModelFacts, ExportNote], None],
        start: Callable[[nn.Module, Plan, list[str]], Session],
    ):
        self.suffix = suffix
        self.precisions = tuple(precisions)
        self.packages = tuple(packages)
        self.build = build
        self.write = write
        self.start = start


def _build_onnx(plan: Plan) -> Any:
    fixed = plan.size
    network = _network_onnx(plan.network, plan, ["logits"])
    whole = joined(
        onnx_of(Preprocessing(plan.facts), {"images": plan.images}, ["network_input"], fixed=fixed),
        network,
    )
    if plan.with_label_map:
        inputs = {"logits": plan.logits, "images": plan.images}
        whole = _with_tail(whole, onnx_of(LabelMap(), inputs, ["label_map"], fixed=fixed))
    _name_sides(whole)
    return whole


def _network_onnx(module: nn.Module, plan: Plan, outputs: list[str]) -> Any:
    model = onnx_of(module, {"network_input": plan.network_input}, outputs, fixed=plan.size)
    if plan.precision == "int8":
        model = quantized(model, plan.calibration, "network_input", per_channel=False)
    return model


def _with_tail(whole: Any, tail: Any) -> Any:
    logits = whole.graph.output[0]
    both = joined(whole, tail)
    both.graph.output.insert(0, logits)
    known = [value for value in both.graph.value_info if value.name != "logits"]
    del both.graph.value_info[:]
    both.graph.value_info.extend(known)
    return both


def _name_sides(model: Any) -> None:
    """Readable names in place of the tracer's symbols."""
    names = {
        "images": ("batch", None, "height", "width"),
        "logits": ("batch", None, "logits_height", "logits_width"),
        "label_map": ("batch", "height", "width"),
    }
    for value in (*model.graph.input, *model.graph.output):
        for side, name in zip(value.type.tensor_type.shape.dim, names[value.name], strict=True):
            if name is not None and not side.HasField("dim_value"):
                side.dim_param = name


def _write_onnx(model: Any, path: Path, facts: ModelFacts, note: ExportNote) -> None:
    del model.metadata_props[:]
    for key, value in packed(facts, note).items():
        model.metadata_props.add(key=key, value=value)
    write_bytes(path, model.SerializeToString())


def _start_onnx(module: nn.Module, plan: Plan, outputs: list[str]) -> Session:
    return onnxruntime_session(_network_onnx(module, plan, outputs).SerializeToString())


def _build_openvino(plan: Plan) -> Any:
    fixed = plan.size
    pre = openvino_of(
        Preprocessing(plan.facts), {"images": plan.images}, ["network_input"], fixed=fixed
    )
    tail = None
    if plan.with_label_map:
        inputs = {"logits": plan.logits, "images": plan.images}
        tail = openvino_of(LabelMap(), inputs, ["label_map"], fixed=fixed)
    return joined_models(pre, _network_openvino(plan.network, plan, ["logits"]), tail)


def _network_openvino(module: nn.Module, plan: Plan, outputs: list[str]) -> Any:
    model = openvino_of(module, {"network_input": plan.network_input}, outputs, fixed=plan.size)
    if plan.precision == "int8":
        model = quantized(model, plan.calibration, "network_input", per_channel=True)
    return model


def _write_openvino(model: Any, path: Path, facts: ModelFacts, note: ExportNote) -> None:
    """The weights first: where the .xml stands, the pair is whole."""
    openvino = need("openvino", "the format openvino")
    for key, value in packed(facts, note).items():
        model.set_rt_info(value, key.split("."))
    scratch = path.with_name(f"scratch-{path.name}")
    try:
        openvino.serialize(model, str(scratch), str(scratch.with_suffix(".bin")))
    except RuntimeError as error:  # openvino does not say why
        if shutil.disk_usage(path.parent).free < SPARE_BYTES:
            raise DiskFullError(
                f"no space left to write {path}; free some space or choose another folder"
            ) from error
        raise
    scratch.with_suffix(".bin").replace(path.with_suffix(".bin"))
    scratch.replace(path)


def _start_openvino(module: nn.Module, plan: Plan, outputs: list[str]) -> Session:
    return openvino_session(_network_openvino(module, plan, outputs), plan.precision)


def _build_torch(plan: Plan) -> Any:
    """The network is traced as it is, so that its weights keep their names."""
    tail = LabelMap() if plan.with_label_map else None
    is_bf16 = plan.precision == "bf16"
    whole = Program(Preprocessing(plan.facts), plan.network, tail, is_bf16=is_bf16)
    return program_of(whole, plan.images, fixed=plan.size)


def _write_torch(program: Any, path: Path, facts: ModelFacts, note: ExportNote) -> None:
    write_pt2(program, path, packed(facts, note))


def _start_torch(module: nn.Module, plan: Plan, outputs: list[str]) -> Session:
    return eager_session(module, plan.precision)


FORMATS: dict[FormatName, Format] = {
    "onnx": Format(
        ".onnx",
        ("fp32", "int8"),
        packages=("onnx", "onnxscript", "onnxruntime"),
        build=_build_onnx,
        write=_write_onnx,
        start=_start_onnx,
    ),
    "openvino": Format(
        ".xml",
        ("fp32", "bf16", "int8"),
        packages=("openvino",),
        build=_build_openvino,
        write=_write_openvino,
        start=_start_openvino,
    ),
    "torch": Format(
        ".pt2",
        ("fp32", "bf16"),
        packages=(),
        build=_build_torch,
        write=_write_torch,
        start=_start_torch,
    ),
}
