"""Memory of the feature affinity, forward and backward, for growing images.

    python benchmarks/affinity_memory.py [--stride 8] [--channels 64]

Were the loss to hold its two matrices, twice the side would take sixteen times the memory. Each
size is a process of its own: what its largest resident set grows by, beside what the matrices of
one image would take in fp32.
"""

import argparse
import resource
import subprocess
import sys

import torch
from torch import Tensor

from dualseg.losses.feature_affinity import feature_affinity_loss

SIZES = ((180, 240), (360, 480), (720, 960), (1440, 1920))


def peak_mib(height: int, width: int, channels: int) -> float:
    """In this process, for one image's two maps."""

    def maps(*size: int) -> list[Tensor]:
        return [torch.randn(1, channels, *size, requires_grad=True) for _ in range(2)]

    feature_affinity_loss(*maps(8, 8)).backward()  # libraries take what they need
    pair = maps(height, width)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    feature_affinity_loss(*pair).backward()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory of the feature affinity.")
    parser.add_argument("--stride", type=int, default=8, help="image over compared maps")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.child:
        print(peak_mib(*arguments.child, arguments.channels))
        return
    print(f"{'image':>10s} {'positions':>10s} {'peak MiB':>9s} {'matrices, MiB':>14s}")
    for height, width in SIZES:
        rows, columns = height // arguments.stride, width // arguments.stride
        command = [sys.executable, __file__, *sys.argv[1:], "--child", str(rows), str(columns)]
        peak = float(subprocess.run(command, check=True, stdout=-1).stdout)
        matrices = 2 * (rows * columns) ** 2 * 4 / 2**20
        size = f"{height}x{width}"
        print(f"{size:>10s} {rows * columns:10d} {peak:9.1f} {matrices:14.0f}", flush=True)


if __name__ == "__main__":
    main()
