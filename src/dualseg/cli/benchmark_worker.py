"""One measurement in a process of its own: told over a pipe when to run, it answers with times.

Nothing else is to be learned from its stdout, so whatever a library prints goes to stderr.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from dualseg.checkpoints.model_files import is_exported, load_model
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.geometry import normalize_images, scaled_size, shrink_images
from dualseg.core.image_spec import ImageSpec, default_mean_std
from dualseg.evaluation.benchmark import Run, peak_memory_mib, product_rate
from dualseg.export.loading import load_exported
from dualseg.export.onnx_graphs import onnx_of
from dualseg.export.openvino_graphs import openvino_of
from dualseg.export.pieces import Network, resizes_last
from dualseg.export.rewrites.coarse_logits import stop_before_resizing
from dualseg.export.rewrites.measure import bf16_is_native
from dualseg.export.rewrites.optimize import optimize
from dualseg.export.sessions import Session, onnxruntime_session, openvino_session
from dualseg.export.tracing import example
from dualseg.inference.label_maps import label_map_of
from dualseg.inference.strategies import Precision
from dualseg.models.catalog import create_model
from dualseg.models.complexity import measure_complexity
from dualseg.models.segmentation import SegmentationModel

Forward = Callable[[Tensor], Tensor]


def main() -> None:
    """Reads what to measure, says so when it is ready, then answers line by line."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=answers, flush=True)

    try:
        spec = json.loads(sys.stdin.readline())
        torch.set_num_threads(spec["threads"])
        run, ready = _start(spec)
        run()
        answer(ready)
        for _ in sys.stdin:
            answer(run() | {"peak_memory_mib": peak_memory_mib()})
    except InputError as error:
        answer({"error": str(error)})


def _start(spec: dict[str, Any]) -> tuple[Callable[[], dict[str, Any]], dict[str, Any]]:
    if spec["runtime"] == "roof":
        return _roof()
    torch.manual_seed(0)
    if spec["architecture"] is None and is_exported(spec["model"]):
        return _file(spec)
    return _network(spec)


def _roof() -> tuple[Callable[[], dict[str, Any]], dict[str, Any]]:
    return lambda: {"fp32": product_rate("fp32"), "bf16": product_rate("bf16")}, {}


def _network(spec: dict[str, Any]) -> tuple[Callable[[], dict[str, Any]], dict[str, Any]]:
    model, facts = _load(spec)
    size, batch = tuple(spec["size"]), spec["batch"]
    input_size = scaled_size(size, facts.input_scale)
    complexity = measure_complexity(model, input_size)
    is_final = not resizes_last(model, facts, size)
    if not is_final:
        model = stop_before_resizing(model)
    shape = (batch, len(facts.mean), *input_size)
    forward, precision = _forward(model, spec, shape, is_final=is_final)
    images = _images(spec, facts)

    def run() -> dict[str, Any]:
        return asdict(_timed(forward, images, facts))

    ready = {
        "parameters": complexity.parameters,
        "gflops": complexity.gflops,
        "input_size": list(input_size),
        "precision": precision,
        "score": facts.score,
    }
    return run, ready


def _file(spec: dict[str, Any]) -> tuple[Callable[[], dict[str, Any]], dict[str, Any]]:
    """An exported file, whose graph normalises and shrinks: "prepare" is nothing."""
    exported = load_exported(spec["model"], runtime=spec["runtime"])
    facts = exported.facts
    with torch.device("meta"):
        model = create_model(**{**facts.architecture, "pretrained": False}).prune()
    input_size = scaled_size(tuple(spec["size"]), facts.input_scale)
    complexity = measure_complexity(model, input_size)
    images = _images(spec, facts)

    def run() -> dict[str, Any]:
        start = time.perf_counter()
        logits = exported.raw_logits(images)
        answered = time.perf_counter()
        for image in logits:
            label_map_of(image[None], (images.shape[-2], images.shape[-1]))
        done = time.perf_counter()
        return asdict(Run(0.0, 1e3 * (answered - start), 1e3 * (done - answered)))

    ready = {
        "parameters": complexity.parameters,
        "gflops": complexity.gflops,
        "input_size": list(input_size),
        "precision": exported.note.precision,
        "score": facts.score,
    }
    return run, ready


def _images(spec: dict[str, Any], facts: ModelFacts) -> Tensor:
    """Of noise, always the same: bytes, or floats where the network reads images of others."""
    generator = torch.Generator().manual_seed(0)
    shape = (spec["batch"], facts.images.num_channels, *spec["size"])
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    return images if facts.images.max_value is None else images.float()


def _timed(forward: Forward, images: Tensor, facts: ModelFacts) -> Run:
    size = (images.shape[-2], images.shape[-1])
    start = time.perf_counter()
    with torch.inference_mode():
        inputs = shrink_images(normalize_images(images, facts.mean, facts.std), facts.input_scale)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        prepared = time.perf_counter()
        logits = forward(inputs)
        answered = time.perf_counter()
        for image in logits:
            label_map_of(image[None], size)
    done = time.perf_counter()
    return Run(
        *(1e3 * (b - a) for a, b in [(start, prepared), (prepared, answered), (answered, done)])
    )


def _load(spec: dict[str, Any]) -> tuple[SegmentationModel, ModelFacts]:
    """A trained model, or one of the catalogue with random weights."""
    if spec["architecture"] is None:
        model = load_model(spec["model"])
        assert model.facts is not None
        return model, model.facts
    architecture = spec["architecture"]
    model = create_model(**architecture).prune().eval()
    bands = model.architecture["in_channels"]
    mean, std = default_mean_std(bands)
    facts = ModelFacts(
        model.architecture,
        default_labels(architecture["num_classes"]),
        mean,
        std,
        input_scale=spec["scale"],
        images=ImageSpec(channels=bands),
    )
    return model, facts


def _forward(
    model: nn.Module, spec: dict[str, Any], shape: tuple[int, ...], *, is_final: bool
) -> tuple[Forward, Precision]:
    """From normalised images to logits, in one of the runtimes, as its exported file gives them."""
    runtime = spec["runtime"]
    if spec["rewrites"] != "none":
        known = {"openvino": "openvino", "openvino_fp32": "openvino", "eager_bf16": "eager_bf16"}
        timed_in = known.get(runtime, "eager")
        model = optimize(
            model,
            size=(shape[2], shape[3]),
            batch=shape[0],
            runtime=timed_in,  # type: ignore[arg-type]
            measure=spec["rewrites"] == "measured",
        ).model
    network = Network(model).eval()  # type: ignore[arg-type]  (a rewritten one)
    if runtime not in ("openvino", "openvino_fp32", "onnxruntime"):
        return _torch(network, runtime), "bf16" if runtime.endswith("bf16") else "fp32"
    inputs = {"network_input": example(shape[1], (shape[2], shape[3]))}
    if runtime == "onnxruntime":
        graph = onnx_of(network, inputs, ["logits"], fixed=(shape[2], shape[3]))
        return _logits_of(onnxruntime_session(graph.SerializeToString())), "fp32"
    is_bf16 = runtime == "openvino" and bf16_is_native()
    precision: Precision = "bf16" if is_bf16 else "fp32"
    graph = openvino_of(network, inputs, ["logits"], fixed=(shape[2], shape[3]))
    graph.reshape(list(shape))
    session = openvino_session(graph, precision, half_outputs=is_final)
    return _logits_of(session), precision


def _torch(network: nn.Module, runtime: str) -> Forward:
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    call: Forward = torch.compile(network) if runtime.startswith("compiled") else network
    is_bf16 = runtime.endswith("bf16")

    def forward(images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            return call(images).float()

    return forward


def _logits_of(session: Session) -> Forward:
    return lambda images: session(images.numpy())[0]


if __name__ == "__main__":
    main()
