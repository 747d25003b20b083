"""What a runtime makes of a network: a function of arrays."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from shutil import which
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.export.packages import need

ExportPrecision = Literal["fp32", "bf16", "int8"]
Session = Callable[[NDArray[Any]], list[Tensor]]
"""One input array -> every output: logits in float32, or float16 where the session was told so."""


def onnxruntime_session(serialized: bytes, what: str = "the network") -> Session:
    """ONNX Runtime on the CPU, with torch's number of threads."""
    runtime = need("onnxruntime", f"running {what} in ONNX Runtime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    with _refusals(what, "ONNX Runtime"):
        session = runtime.InferenceSession(serialized, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(array: NDArray[Any]) -> list[Tensor]:
        with _refusals(what, f"ONNX Runtime, given {_sides(array)},"):
            found = session.run(None, {name: np.ascontiguousarray(array)})
        return [torch.from_numpy(output) for output in found]

    return run


def openvino_session(
    model: Any, precision: ExportPrecision, *, half_outputs: bool = False
) -> Session:
    """OpenVINO on the CPU, with torch's number of threads.

    Left alone it would compute in bf16 wherever the processor can, so the precision is always said.
    In an int8 file what is not quantised stays fp32.

    Args:
        model: An `openvino.Model`; changed where `half_outputs` has an effect.
        precision: Of the arithmetic.
        half_outputs: With precision bf16, results are float16: to write and reorder full-size
            float32 logits took a quarter of a DSRL network's time. (In bfloat16, with a mantissa of
            8 bits, classes tie so often that mIoU fell by 0.4 points.)
    """
    openvino = need("openvino", "running a network in OpenVINO")
    if precision == "bf16" and half_outputs:
        model = _ending_in_halves(openvino, model)
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    with _refusals("the network", "OpenVINO"):
        compiled = openvino.Core().compile_model(model, "CPU", settings)

    def run(array: NDArray[Any]) -> list[Tensor]:
        with _refusals("the network", f"OpenVINO, given {_sides(array)},"):
            results = compiled([np.ascontiguousarray(array)])
        return [torch.from_numpy(np.asarray(results[output])) for output in compiled.outputs]

    return run


def _ending_in_halves(openvino: Any, model: Any) -> Any:
    ends = openvino.preprocess.PrePostProcessor(model)
    for number, output in enumerate(model.outputs):
        if output.get_element_type().is_real():
            ends.output(number).tensor().set_element_type(openvino.Type.f16)
    return ends.build()


def eager_session(module: nn.Module, precision: ExportPrecision) -> Session:
    """Eager torch on the CPU; bf16 under autocast."""

    def run(array: NDArray[Any]) -> list[Tensor]:
        inputs = torch.from_numpy(np.ascontiguousarray(array))
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        enabled = precision == "bf16"
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found = module(inputs)
        outputs: Sequence[torch.Tensor] = [found] if isinstance(found, torch.Tensor) else found
        return [output.float() for output in outputs]

    return run


def compiled_session(module: nn.Module, precision: ExportPrecision) -> Session:
    """`torch.compile` on the CPU: the first image of a size, and then one of another, take long.

    Raises:
        InputError: There is no C++ compiler.
    """
    if not any(which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++", "cl")):
        raise InputError(
            "runtime compiled needs a C++ compiler, and none was found; install one, or take eager"
        )
    return eager_session(torch.compile(module), precision)  # type: ignore[arg-type]


@contextmanager
def _refusals(what: str, who: str) -> Iterator[None]:
    """What a runtime says against a graph or an image as one line; its classes have no common one.

    Raises:
        InputError: In place of the runtime's error.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[-1] if lines else type(error).__name__
        raise InputError(f"{who} cannot run {what}: {reason[:400]}") from error


def _sides(array: NDArray[Any]) -> str:
    return "x".join(map(str, array.shape))
