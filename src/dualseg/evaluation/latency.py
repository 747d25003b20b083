"""How long one image takes, and how many weights a network has."""

import time
from statistics import median

import torch
from torch import nn

from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size
from dualseg.evaluation.evaluate import evaluation_mode
from dualseg.inference.predictor import Predictor
from dualseg.inference.strategies import Precision, device_of, find_facts

WARMUP_RUNS = 3


def measure_latency(
    model: nn.Module,
    size: Size,
    *,
    repeats: int = 15,
    facts: ModelFacts | None = None,
    precision: Precision = "fp32",
) -> float:
    """Median time from one image to its full-size logits, at batch 1, where the network is.

    It is the time of a `Predictor`, whose memory layout (channels last) the network's weights keep
    afterwards. Normalising, shrinking and resizing the logits are part of it, so that networks
    which answer at different sizes are compared over the same work.

    Args:
        model: Put in evaluation mode for the measurement.
        size: (height, width) of the image before any shrink.
        repeats: Runs measured, after a warm-up.
        facts: How the input is prepared; the network's own where not given.
        precision: "fp32", or "bf16" under autocast.

    Returns:
        Milliseconds.

    Raises:
        ValueError: `repeats` is below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; measure at least once")
    facts = find_facts(model, facts)
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (1, len(facts.mean), *size), dtype=torch.uint8, generator=generator)
    times = []
    with evaluation_mode(model):
        logits = Predictor(model, facts=facts, precision=precision).logits
        for _ in range(WARMUP_RUNS + repeats):
            start = time.perf_counter()
            logits(image)
            _wait(device_of(model))
            times.append(1000 * (time.perf_counter() - start))
    return median(times[WARMUP_RUNS:])


def count_parameters(model: nn.Module) -> int:
    """Numbers in all weights; prune the network first to count what inference needs."""
    return sum(parameter.numel() for parameter in model.parameters())


def _wait(device: torch.device) -> None:
    """GPU calls return before their work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
