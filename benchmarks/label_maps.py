"""From logits to a label map of the image's size: torch's way, and the fused pass.

    python benchmarks/label_maps.py [--threads 2] [--classes 19]

Smooth random logits, in both memory formats, median of the rounds; the ways take turns. "Bytes
alone" copies the logits once, which no way can avoid reading. Both label maps are compared pixel by
pixel, and it ends with an error where they differ.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from dualseg.inference.label_maps import label_map_of

CASES = [
    ((512, 1024), (1024, 2048)),
    ((256, 512), (1024, 2048)),
    ((256, 512), (512, 1024)),
    ((64, 128), (512, 1024)),
]
FORMATS = {"classes first": torch.contiguous_format, "classes last": torch.channels_last}
ROUNDS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description="Upsampling and arg-max.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--classes", type=int, default=19)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.classes} classes, {arguments.threads} threads, milliseconds")
    print(f"{'':26s} {'':14s} {'torch':>8s} {'fused':>8s} {'times':>7s} {'bytes alone':>12s}")
    for small, large in CASES:
        for name, memory in FORMATS.items():
            logits = _smooth(arguments.classes, small).contiguous(memory_format=memory)
            torch_ms, fused_ms, copy_ms = _measure(
                lambda logits=logits, large=large: _with_torch(logits, large),
                lambda logits=logits, large=large: label_map_of(logits, large),
                lambda logits=logits: logits.clone(),
            )
            sizes = f"{small[0]}x{small[1]} -> {large[0]}x{large[1]}"
            print(
                f"{sizes:26s} {name:14s} {torch_ms:8.1f} {fused_ms:8.1f} "
                f"{torch_ms / fused_ms:7.0f} {copy_ms:12.1f}",
                flush=True,
            )
            if not np.array_equal(_with_torch(logits, large), label_map_of(logits, large)):
                sys.exit("the label maps differ")


def _smooth(num_classes: int, size: tuple[int, int]) -> torch.Tensor:
    torch.manual_seed(0)
    coarse = torch.randn(1, num_classes, size[0] // 32, size[1] // 32)
    return functional.interpolate(coarse, size, mode="bicubic")


def _with_torch(logits: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    resized = functional.interpolate(logits, size, mode="bilinear", align_corners=False)
    return resized.argmax(dim=1)[0].to(torch.uint8).numpy()


def _measure(*ways: Callable[[], object]) -> list[float]:
    """Median milliseconds of each; the first round compiles and is not counted."""
    rounds: list[list[float]] = [[] for _ in ways]
    for number in range(ROUNDS + 1):
        for seconds, way in zip(rounds, ways, strict=True):
            start = time.perf_counter()
            way()
            if number:
                seconds.append(time.perf_counter() - start)
    return [1e3 * statistics.median(seconds) for seconds in rounds]


if __name__ == "__main__":
    main()
