"""ONNX graphs: made from modules, joined, cut, and checked before anything runs them."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.export.packages import need
from dualseg.export.tracing import trace

MAX_BYTES = 2_000_000_000  # the format itself ends at 2 GiB
STANDARD_DOMAINS = ("", "ai.onnx")
BOUNDARY = "network_input"  # where a file can be cut in two


def onnx_of(
    module: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str], *, fixed: Size | None
) -> Any:
    """A module as a `ModelProto` of the standard operations.

    What the exporter notes about source files of this machine is left out.
    """
    need("onnx", "the format onnx")
    need("onnxscript", "the format onnx")
    from torch.onnx import export

    program = trace(module, inputs, fixed=fixed)
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = export(program, dynamo=True, verbose=False, output_names=list(outputs))
    finally:
        logging.disable(before)
    assert made is not None
    model = made.model_proto
    _without_notes(model)
    return model


def joined(first: Any, second: Any) -> Any:
    """One graph of two, where outputs of the first are inputs of the second by their names.

    Args:
        first: Its inner names but `BOUNDARY` get a prefix; it keeps its inputs and outputs.
        second: Its outputs become the outputs; inputs that the first does not make are kept.
    """
    onnx = need("onnx", "the format onnx")
    kept = [BOUNDARY, *(value.name for value in (*first.graph.input, *first.graph.output))]
    _rename(first.graph, kept, "before/")
    made = {value.name for value in first.graph.output}
    graph = first.graph
    given = {value.name for value in graph.input}
    graph.node.extend(second.graph.node)
    graph.initializer.extend(second.graph.initializer)
    graph.input.extend(v for v in second.graph.input if v.name not in made | given)
    outputs = list(second.graph.output)
    between = list(graph.output)
    del graph.output[:]
    graph.value_info.extend(between)  # a part of the graph may begin there
    graph.output.extend(outputs)
    onnx.checker.check_model(first)
    return first


def part_between(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """The part of a graph that leads from some values to others."""
    onnx = need("onnx", "reading an ONNX file")
    return onnx.utils.Extractor(model).extract_model(list(inputs), list(outputs))


def read_onnx(path: Path) -> Any:
    """A `ModelProto`, checked before any runtime sees it.

    Raises:
        InputError: It is no such file, too large, keeps weights in other files, or holds
            operations beyond the standard, which could be native code of an extension.
    """
    onnx = need("onnx", f"reading {path.name}")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path} has {size:,} bytes; ONNX files have at most {MAX_BYTES:,}")
        model = onnx.load_model(str(path), format="protobuf", load_external_data=False)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except InputError:
        raise
    except Exception as error:  # protobuf's own classes differ between its versions
        raise InputError(f"{path} is no ONNX file: {error}") from None
    problems = list(dict.fromkeys(_dangers(onnx, model)))
    if problems:
        raise InputError(f"{path} is not loaded:", problems)
    return model


def _dangers(onnx: Any, model: Any) -> Iterator[str]:
    if len(model.functions):
        yield f"it brings {len(model.functions)} functions of its own"
    for opset in model.opset_import:
        if opset.domain not in STANDARD_DOMAINS:
            yield f"it needs operations of {opset.domain!r}, which are not of the standard"
    for graph in _graphs(onnx, model.graph):
        tensors = [*graph.initializer]
        tensors += [part for sparse in graph.sparse_initializer for part in _parts(sparse)]
        for node in graph.node:
            if node.domain not in STANDARD_DOMAINS:
                yield f"its operation {node.op_type} of {node.domain!r} is not of the standard"
            for attribute in node.attribute:
                tensors += [attribute.t, *attribute.tensors]
        for tensor in tensors:
            if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data):
                yield "its weights lie in other files, which a file could point anywhere"


def _parts(sparse: Any) -> list[Any]:
    return [sparse.values, sparse.indices]


def _graphs(onnx: Any, graph: Any) -> Iterator[Any]:
    """The graph and those inside its operations."""
    waiting = [graph]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    waiting.append(attribute.g)
                waiting.extend(attribute.graphs)


def _without_notes(model: Any) -> None:
    model.doc_string = ""
    graph = model.graph
    graph.doc_string = ""
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for item in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]


def _rename(graph: Any, kept: Sequence[str], prefix: str) -> None:
    """A prefix for every name inside but those kept and the empty one."""

    def named(name: str) -> str:
        return name if name in kept or not name else prefix + name

    for node in graph.node:
        node.name = named(node.name)
        node.input[:] = [named(name) for name in node.input]
        node.output[:] = [named(name) for name in node.output]
    for tensor in graph.initializer:
        tensor.name = named(tensor.name)
