"""What a module costs here: ways of running it, timed in turns."""

import copy
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from dualseg.export.packages import need

Runtime = Literal["eager", "eager_bf16", "openvino"]
RUNTIMES: tuple[Runtime, ...] = ("eager", "eager_bf16", "openvino")
Way = Callable[[], object]


def milliseconds_in_turns(ways: Sequence[Way], *, rounds: int) -> list[list[float]]:
    """Every way once a round, so that other programs on the machine disturb all alike.

    Returns:
        For each way its times; a first round, which warms up, is not among them.
    """
    times: list[list[float]] = [[] for _ in ways]
    for number in range(rounds + 1):
        for way, own in zip(ways, times, strict=True):
            start = time.perf_counter()
            way()
            if number:
                own.append(1e3 * (time.perf_counter() - start))
    return times


def runnable(module: nn.Module, inputs: Sequence[Tensor], runtime: Runtime) -> Way:
    """A call that runs a copy of the module once on these inputs.

    Args:
        module: Takes as many tensors as there are `inputs`, returns one.
        inputs: (B, C, h, w) each.
        runtime: "eager" in fp32 and "eager_bf16" under autocast, both channels last; "openvino" in
            the precision OpenVINO chooses (bf16 where the processor has it).
    """
    if runtime == "openvino":
        return _compiled(module, inputs)
    own = copy.deepcopy(module).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    given = [tensor.contiguous(memory_format=torch.channels_last) for tensor in inputs]

    def run() -> object:
        is_bf16 = runtime == "eager_bf16"
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            return own(*given)

    return run


def _compiled(module: nn.Module, inputs: Sequence[Tensor]) -> Way:
    compiled = compile_openvino(module, inputs)
    call = openvino_call(compiled)
    given = inputs
    if len(compiled.inputs) < len(inputs):  # OpenVINO leaves out some of those that nothing reads
        given = [inputs[_number(entry.get_any_name())] for entry in compiled.inputs]
    return lambda: call(*given)


def _number(name: str) -> int:
    """torch.export calls the arguments of `*tensors` tensors_0, tensors_1 and so on."""
    return int(name.rpartition("_")[2])


def openvino_call(compiled: Any) -> Callable[..., Tensor]:
    """A compiled graph as a function of tensors that gives its one result.

    The result lies in OpenVINO's own memory: the next call writes over it.
    """
    request = compiled.create_infer_request()

    def call(*inputs: Tensor) -> Tensor:
        arrays = [np.ascontiguousarray(tensor.numpy()) for tensor in inputs]
        outputs = request.infer(arrays, share_inputs=True, share_outputs=True)
        return torch.from_numpy(outputs[0])

    return call


def compile_openvino(
    module: nn.Module, inputs: Sequence[Tensor], *, precision: Literal["bf16", "f32"] | None = None
) -> Any:
    """OpenVINO's own conversion of a module for inputs of these sizes, compiled for the CPU.

    Args:
        module: Returns one tensor.
        inputs: Examples; their sizes are fixed.
        precision: OpenVINO's choice where not given.

    Raises:
        InputError: OpenVINO is not installed.
    """
    openvino = need("openvino", "running a network in OpenVINO")
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    if precision is not None:
        settings["INFERENCE_PRECISION_HINT"] = precision
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module.eval(), tuple(inputs), strict=False)
        graph = openvino.convert_model(program)
    return openvino.Core().compile_model(graph, "CPU", settings)


def bf16_is_native() -> bool:
    """Whether OpenVINO multiplies bf16 numbers with this processor's own instructions."""
    openvino = need("openvino", "asking what the processor can do")
    capabilities: list[str] = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "BF16" in capabilities
