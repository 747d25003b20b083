"""Cross-entropy and feature affinity beside their plain forms, and the roof of a matrix product.

    python benchmarks/losses.py [--batch 8] [--classes 11] [--threads 2]

Forward and backward, milliseconds an image, the median of the repeats. Cross-entropy stands at
384x512 logits in bf16, channels_last, as a DSRL network gives them; the affinity at 48x64 positions
with 32 channels a side.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dualseg.core.memory import keep_freed_memory
from dualseg.losses.cross_entropy import cross_entropy
from dualseg.losses.feature_affinity import feature_affinity_loss

REPEATS = 7


def median_ms(run: Callable[[], object]) -> float:
    """After one warm-up."""
    run()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def dense_affinity(seg: Tensor, sr: Tensor) -> Tensor:
    """Both matrices in full, as the formula reads."""
    a, b = F.normalize(seg.flatten(2), dim=1), F.normalize(sr.flatten(2), dim=1)
    return (a.mT @ a - b.mT @ b).abs().mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    keep_freed_memory()
    batch, classes = arguments.batch, arguments.classes

    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.randn(2048, 2048).to(dtype)
        rate = 2 * 2048**3 / median_ms(lambda m=matrix: m @ m) / 1e6
        print(f"matrix product of 2048, {dtype}: {rate:.0f} GFLOP/s")

    target = torch.randint(0, classes, (batch, 384, 512))
    logits = torch.randn(batch, classes, 384, 512).bfloat16()
    logits = logits.contiguous(memory_format=torch.channels_last).requires_grad_()
    rows = {
        "cross-entropy, torch": lambda: F.cross_entropy(logits.float(), target).backward(),
        "cross-entropy, in slices": lambda: cross_entropy(logits, target).backward(),
    }
    seg = torch.rand(batch, 32, 48, 64, requires_grad=True)
    sr = torch.rand(batch, 32, 48, 64, requires_grad=True)
    rows |= {
        "affinity L1, both matrices": lambda: dense_affinity(seg, sr).backward(),
        "affinity L1, in tiles": lambda: feature_affinity_loss(seg, sr).backward(),
        "affinity L2, Gram": lambda: feature_affinity_loss(seg, sr, distance="l2").backward(),
    }
    for name, run in rows.items():
        print(f"{name:28s} {median_ms(run) / batch:7.1f} ms an image")


if __name__ == "__main__":
    main()
