"""What the processor can do at best: products in each precision, and reading memory."""

import time
from collections.abc import Callable

import numpy as np
import openvino
import torch
from openvino import opset13

ROUNDS = 7
PIXELS, CHANNELS = 8192, 1024  # a 1x1 convolution of a deep layer: large, and in no cache at once


def measure_roofs() -> dict[str, float]:
    """GFLOP/s by precision, the best of torch's and OpenVINO's 1x1 convolutions, and GB/s of a
    copy that is larger than the caches, bytes read and written.
    """
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    found = {
        "fp32": max(_torch_product(torch.float32), _openvino_product("f32")),
        "bf16": max(_torch_product(torch.bfloat16), _openvino_product("bf16")),
        "int8": _openvino_product("f32", quantized=True),
        "copy": _copy(),
    }
    found["bf16 in the processor"] = float("BF16" in capabilities)
    return found


def _torch_product(dtype: torch.dtype) -> float:
    convolution = torch.nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False).to(dtype)
    maps = torch.randn(1, CHANNELS, 64, PIXELS // 64).to(dtype)
    maps = maps.contiguous(memory_format=torch.channels_last)
    convolution = convolution.to(memory_format=torch.channels_last)

    def run() -> None:
        with torch.inference_mode():
            convolution(maps)

    return _gflops(run)


def _openvino_product(precision: str, *, quantized: bool = False) -> float:
    maps = opset13.parameter([1, CHANNELS, 64, PIXELS // 64], np.float32)
    weights = np.random.default_rng(0).normal(size=(CHANNELS, CHANNELS, 1, 1)).astype(np.float32)
    source, factors = maps, opset13.constant(weights)
    if quantized:
        ends = [opset13.constant(np.float32(end)) for end in (-4.0, 4.0)]
        source = opset13.fake_quantize(maps, *ends, *ends, 256)
        factors = opset13.fake_quantize(factors, *ends, *ends, 255)
    result = opset13.convolution(source, factors, [1, 1], [0, 0], [0, 0], [1, 1])
    reduced = opset13.reduce_max(result, opset13.constant(np.array([2, 3])), True)
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    graph = openvino.Model([reduced], [maps], "product")
    request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
    images = np.random.default_rng(0).normal(size=maps.shape).astype(np.float32)
    return _gflops(lambda: request.infer([images], share_inputs=True))


def _gflops(run: Callable[[], object]) -> float:
    return 2 * PIXELS * CHANNELS**2 / _best_seconds(run) / 1e9


def _copy() -> float:
    source = torch.ones(1 << 26)  # 256 MiB
    target = torch.empty_like(source)
    return 2 * source.nbytes / _best_seconds(lambda: target.copy_(source)) / 1e9


def _best_seconds(run: Callable[[], object]) -> float:
    run()
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
