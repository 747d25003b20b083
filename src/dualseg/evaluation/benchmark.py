"""Figures of a benchmark: from single runs to what is compared."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch

from dualseg.core.geometry import Size
from dualseg.inference.strategies import Precision

ROOF_SIDE = 1536  # of the matrices whose product is the roof
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Run:
    """One batch, in milliseconds.

    Attributes:
        prepare: From uint8 images to the network's input.
        network: From there to logits.
        tail: From logits to label maps of the images' size.
    """

    prepare: float
    network: float
    tail: float

    @property
    def total(self) -> float:
        """Images in, label maps out."""
        return self.prepare + self.network + self.tail


@dataclass(frozen=True)
class RuntimeFigures:
    """One network at one size in one runtime, in a process of its own.

    Args:
        runs: Timed, after a warm-up.
        batch: Images a run.
        peak_memory_mib: Largest resident set of the process, libraries and weights included.
        precision: Of the arithmetic.
    """

    runs: tuple[Run, ...]
    batch: int
    peak_memory_mib: float
    precision: Precision | Literal["int8"]

    def to_dict(self, *, gflops: float, roofs: Mapping[str, float]) -> dict[str, Any]:
        """Plain values for `--json`; the share is of a matrix product's rate in the same run.

        Args:
            gflops: Of one image.
            roofs: GFLOP/s by precision; where there is none, as for int8, the share is None.
        """
        total = [run.total for run in self.runs]
        network_ms = median(run.network for run in self.runs)
        rate = 1e3 * gflops * self.batch / network_ms
        roof = roofs.get(self.precision)
        return {
            "latency_ms_median": median(total),
            "latency_ms_p95": percentile(total, 0.95),
            "network_ms_median": network_ms,
            "network_ms_p95": percentile([run.network for run in self.runs], 0.95),
            "prepare_ms_median": median(run.prepare for run in self.runs),
            "tail_ms_median": median(run.tail for run in self.runs),
            "images_per_second": 1e3 * self.batch / median(total),
            "network_images_per_second": 1e3 * self.batch / network_ms,
            "peak_memory_mib": self.peak_memory_mib,
            "precision": self.precision,
            "network_gflops_per_second": rate,
            "share_of_roof": rate / roof if roof else None,
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def product_rate(precision: Precision, side: int = ROOF_SIDE) -> float:
    """GFLOP/s of one square matrix product, timed once; a multiply-add counts as two."""
    matrix = torch.ones(side, side, dtype=DTYPES[precision])
    start = time.perf_counter()
    torch.mm(matrix, matrix)
    return 2 * side**3 / (time.perf_counter() - start) / 1e9


def peak_memory_mib() -> float:
    """Largest resident set of this process so far.

    Linux's own `getrusage` counts the memory of the process that started this one, so the figure
    is taken from /proc where there is one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def size_text(size: Size) -> str:
    """(512, 1024) -> 512x1024"""
    return f"{size[0]}x{size[1]}"
