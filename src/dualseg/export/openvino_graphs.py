"""OpenVINO graphs: made from modules, joined and cut."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.export.packages import need
from dualseg.export.tracing import trace

MAX_XML_BYTES = 200_000_000


def openvino_of(
    module: nn.Module, inputs: dict[str, Tensor], outputs: list[str], *, fixed: Size | None
) -> Any:
    """A module as an `openvino.Model` whose inputs and outputs have these names.

    Where height and width are fixed it refuses others: traced for one, it would answer wrongly.
    """
    openvino = need("openvino", "the format openvino")
    model = openvino.convert_model(trace(module, inputs, fixed=fixed))
    for name, port in zip(inputs, model.inputs, strict=True):
        port.get_tensor().set_names({name})
        port.get_node().set_friendly_name(name)
    if fixed is not None:
        model.reshape({name: [-1, *inputs[name].shape[1:]] for name in inputs})
    for name, port in zip(outputs, model.outputs, strict=True):
        source = port.get_node().input_value(0)
        source.get_tensor().set_names({name})
    return model


def joined_models(pre: Any, network: Any, tail: Any | None) -> Any:
    """images -> network_input -> logits, and -> label_map where there is a tail."""
    openvino = need("openvino", "the format openvino")
    boundary = _source(pre)
    _feed(network.inputs[0], boundary)
    logits = _source(network)
    ends = [_result(openvino, logits, "logits")]
    if tail is not None:
        by_name = {port.get_any_name(): port for port in tail.inputs}
        _feed(by_name["logits"], logits)
        _feed(by_name["images"], pre.inputs[0])
        ends.append(_result(openvino, _source(tail), "label_map"))
    parameter = pre.inputs[0].get_node()
    whole = openvino.Model(ends, [parameter], "dualseg")
    boundary.get_node().set_friendly_name("network_input")
    boundary.get_tensor().set_names({"network_input"})
    logits.get_tensor().set_names({"logits"})
    return whole


def network_alone(model: Any) -> Any:
    """The part of a joined model from `network_input` to `logits`.

    The model given is used up.

    Raises:
        InputError: It has no such part.
    """
    openvino = need("openvino", "running a network in OpenVINO")
    found = [op for op in model.get_ops() if op.get_friendly_name() == "network_input"]
    if len(found) != 1:
        raise InputError("the file has no operation called network_input; export it again")
    boundary = found[0].output(0)
    start = openvino.opset13.parameter(
        boundary.get_partial_shape(), boundary.get_element_type(), "network_input"
    )
    for target in boundary.get_target_inputs():
        target.replace_source_output(start.output(0))
    logits = openvino.Model([_logits_result(model)], [start], "network")
    logits.validate_nodes_and_infer_types()
    return logits


def logits_alone(model: Any) -> Any:
    """A joined model without its label map, which would cost time."""
    openvino = need("openvino", "running a network in OpenVINO")
    return openvino.Model([_logits_result(model)], model.get_parameters(), "logits")


def read_openvino(path: Path) -> Any:
    """A model from NAME.xml and NAME.bin. Nothing in them is code; unknown operations are refused.

    Raises:
        InputError: A file is missing or is none of OpenVINO's.
    """
    openvino = need("openvino", f"reading {path.name}")
    weights = path.with_suffix(".bin")
    for file in (path, weights):
        if not file.is_file():
            raise InputError(
                f"there is no file {file}; an OpenVINO network is a pair, .xml and .bin"
            )
    if path.stat().st_size > MAX_XML_BYTES:
        raise InputError(f"{path} is larger than {MAX_XML_BYTES:,} bytes; it is no network")
    try:
        return openvino.Core().read_model(str(path), str(weights))
    except RuntimeError as error:
        raise InputError(f"{path} is no OpenVINO network: {str(error).splitlines()[-1]}") from None


def _logits_result(model: Any) -> Any:
    for result in model.get_results():
        if "logits" in result.input_value(0).get_names():
            return result
    raise InputError("the file has no output called logits; it was not written by dualseg export")


def _source(model: Any) -> Any:
    return model.outputs[0].get_node().input_value(0)


def _feed(port: Any, source: Any) -> None:
    for target in port.get_target_inputs():
        target.replace_source_output(source)


def _result(openvino: Any, source: Any, name: str) -> Any:
    result = openvino.opset13.result(source)
    result.set_friendly_name(name)
    return result
