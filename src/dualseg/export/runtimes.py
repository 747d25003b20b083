"""Which runtimes can run a file, and a file opened in one of them."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dualseg.checkpoints.model_files import build_fitting, load_weights
from dualseg.checkpoints.tensors import require_finite
from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size, scaled_size
from dualseg.export.exported import Entries
from dualseg.export.note import ExportNote
from dualseg.export.onnx_graphs import part_between
from dualseg.export.openvino_graphs import (
    logits_alone,
    network_alone,
    openvino_of,
    read_openvino,
)
from dualseg.export.packages import need
from dualseg.export.pieces import Preprocessing, exported_network
from dualseg.export.programs import read_weights
from dualseg.export.rewrites.batch_norms import fold_batch_norms
from dualseg.export.rewrites.pooling import make_pooling_exportable
from dualseg.export.sessions import (
    Session,
    compiled_session,
    eager_session,
    onnxruntime_session,
    openvino_session,
)
from dualseg.export.tracing import example
from dualseg.models.segmentation import SegmentationModel

RuntimeName = Literal["eager", "compiled", "openvino", "onnxruntime"]
ABLE: dict[str, tuple[RuntimeName, ...]] = {
    ".onnx": ("onnxruntime", "openvino"),
    ".xml": ("openvino",),
    ".pt2": ("eager", "openvino", "compiled"),
}
"""By suffix; the first is the one a file is made for and compared in."""
TRACED_SIZE = (101, 139)


@dataclass(frozen=True)
class Opened:
    """A file that was read and found in order.

    Args:
        path: Of it.
        graph: Of an ONNX file.
        facts: Of the network.
        note: Of the file.
    """

    path: Path
    graph: Any
    facts: ModelFacts
    note: ExportNote

    @property
    def able(self) -> tuple[RuntimeName, ...]:
        """Runtimes that can run it."""
        return ABLE[self.path.suffix.lower()]


def entries_of(opened: Opened, runtime: RuntimeName) -> Entries:
    """Both ways into a file, in one of its `able` runtimes.

    Raises:
        InputError: A package or a compiler is missing, or the file's contents do not fit.
    """
    if opened.path.suffix.lower() == ".pt2":
        return _rebuilt(opened, runtime)
    start = _start_onnxruntime if runtime == "onnxruntime" else _start_openvino
    return Entries(partial(start, opened, "images"), partial(start, opened, "network_input"))


def _start_onnxruntime(opened: Opened, name: str) -> Session:
    part = part_between(opened.graph, [name], ["logits"])
    return onnxruntime_session(part.SerializeToString(), opened.path.name)


def _start_openvino(opened: Opened, name: str) -> Session:
    openvino = need("openvino", f"running {opened.path.name} in OpenVINO")
    if opened.graph is not None:
        part = part_between(opened.graph, [name], ["logits"])
        ready = openvino.Core().read_model(part.SerializeToString(), b"")
    else:
        fresh = read_openvino(opened.path)
        ready = logits_alone(fresh) if name == "images" else network_alone(fresh)
    return _openvino(ready, opened.note)


def _rebuilt(opened: Opened, runtime: RuntimeName) -> Entries:
    """The network of a .pt2 file, built from facts and weights; its program is not opened."""
    path, facts, precision = opened.path, opened.facts, opened.note.precision
    weights = read_weights(path)
    require_finite(weights, origin=str(path))
    built = build_fitting(facts, weights, origin=path, weights_origin=str(path))
    model = built.prune().eval()
    load_weights(model, weights, origin=str(path))
    model = make_pooling_exportable(fold_batch_norms(model))
    assert isinstance(model, SegmentationModel)
    size = None if opened.note.final_logits else opened.note.size  # an older file kept its resizing
    network = exported_network(model, facts, size)
    whole = nn.Sequential(Preprocessing(facts), network)
    if runtime == "openvino":
        of_bytes = facts.images.max_value is None
        dtype = torch.uint8 if of_bytes else torch.float32
        of_images = opened.note.size
        of_network = scaled_size(of_images, facts.input_scale) if of_images else None
        return Entries(
            lambda: _converted(whole, opened, dtype, of_images),
            lambda: _converted(network, opened, torch.float32, of_network),
        )
    session = {"eager": eager_session, "compiled": compiled_session}[runtime]
    return Entries(lambda: session(whole, precision), lambda: session(network, precision))


def _converted(module: nn.Module, opened: Opened, dtype: torch.dtype, size: Size | None) -> Session:
    """Of a module that is given arrays of this size; None: of any."""
    images = example(opened.facts.images.num_channels, size or TRACED_SIZE, dtype=dtype)
    graph = openvino_of(_Positional(module), {"input": images}, ["logits"], fixed=size)
    return _openvino(graph, opened.note)


def _openvino(graph: Any, note: ExportNote) -> Session:
    """Small logits stay fp32: they are enlarged, and rounding them first would shift borders."""
    return openvino_session(graph, note.precision, half_outputs=note.final_logits)


class _Positional(nn.Module):
    """A module whose input has a name that it can be traced by."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, input: Tensor) -> Tensor:
        return self.module(input)
