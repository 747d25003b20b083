"""The gate: a file is kept only if it answers as the network it was made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dualseg.core.facts import ModelFacts
from dualseg.data.dataset import SegmentationDataset
from dualseg.evaluation.evaluate import evaluate_logits
from dualseg.export.layers import relative_difference
from dualseg.export.sessions import ExportPrecision
from dualseg.export.shipped import Outputs, Shipped
from dualseg.inference.strategies import LogitsFunction

Progress = Callable[[str, int, int | None], object]
"""Told (step, done, total); the total is None where a step has nothing to count."""

MAX_RELATIVE = 1e-4
"""Of fp32 logits: largest difference by the largest value."""
MAX_MIOU_POINTS: dict[ExportPrecision, float] = {"fp32": 0.1, "bf16": 0.1, "int8": 0.5}
"""Either way, in points of mIoU on the labelled sample."""
MIN_AGREEMENT: dict[ExportPrecision, float] = {"fp32": 0.999, "bf16": 0.99, "int8": 0.97}
"""Share of pixels with the class of the fp32 network, where there are no labels to ask."""


@dataclass(frozen=True)
class Parity:
    """What was measured, network against file, both given the same images.

    Args:
        relative: Worst relative difference of the logits.
        agreement: Share of pixels with the same class.
        sizes: (height, width) of the images compared.
        num_images: So many were compared.
        miou_network: On the labelled sample.
        miou_file: The same of the file.
        num_labelled: Images of that sample.
    """

    relative: float
    agreement: float
    sizes: tuple[tuple[int, int], ...]
    num_images: int
    miou_network: float | None = None
    miou_file: float | None = None
    num_labelled: int = 0

    @property
    def miou_points(self) -> float | None:
        """Difference of the mIoUs, in points; None without labels."""
        if self.miou_network is None or self.miou_file is None:
            return None
        return 100 * abs(self.miou_network - self.miou_file)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the file and for `--json`; an infinite difference is null."""
        plain = asdict(self)
        plain["relative"] = self.relative if np.isfinite(self.relative) else None
        return {**plain, "sizes": [list(s) for s in self.sizes], "miou_points": self.miou_points}


def measure_parity(
    network: LogitsFunction,
    exported: LogitsFunction,
    images: Sequence[Tensor],
    *,
    facts: ModelFacts,
    shipped: Shipped | None = None,
    labelled: SegmentationDataset | None = None,
    progress: Progress = lambda step, done, total: None,
) -> Parity:
    """Compares a network with a file, the latter in our own loader and as other programs run it.

    Args:
        network: Eager, in fp32.
        exported: Of the file.
        images: (B, C, H, W) each, of two sizes at least where the file takes any.
        facts: Of the network.
        shipped: All of the file.
        labelled: Both are scored on it.
        progress: Told of the images compared, and of those scored.
    """
    worst, same, pixels = 0.0, 0, 0
    for number, image in enumerate(images):
        progress("comparing", number, len(images))
        expected = network(image).cpu()
        label_map = expected.argmax(1)
        found = [Outputs(exported(image).cpu(), None)]
        found += [shipped(image)] if shipped is not None else []
        for logits, own_label_map in found:
            worst = max(worst, relative_difference(expected.numpy(), logits.numpy()))
            if expected.shape == logits.shape:
                own = logits.argmax(1) if own_label_map is None else own_label_map
                same += int((label_map == own.long()).sum())
            pixels += label_map.numel()
    scores: Mapping[str, Any] = {}
    if labelled is not None and np.isfinite(worst):
        both = [
            evaluate_logits(
                logits, labelled, facts=facts, progress=partial(progress, f"scoring the {name}")
            ).scores.miou
            for name, logits in (("network", network), ("file", exported))
        ]
        scores = {"miou_network": both[0], "miou_file": both[1], "num_labelled": len(labelled)}
    return Parity(
        relative=worst,
        agreement=same / pixels,
        sizes=tuple(dict.fromkeys((i.shape[-2], i.shape[-1]) for i in images)),
        num_images=sum(len(image) for image in images),
        **scores,
    )


def failures(parity: Parity, precision: ExportPrecision) -> list[str]:
    """Why a file is not kept; empty where it is.

    In fp32 the logits count. In bf16 and int8 the mIoU counts where there are labels, and the
    agreement with the fp32 network's label maps where there are none.
    """
    found = []
    if precision == "fp32" and not parity.relative <= MAX_RELATIVE:
        found.append(
            f"its logits differ by {parity.relative:.1e} of the largest; allowed {MAX_RELATIVE:.0e}"
        )
    if not np.isfinite(parity.relative):
        found.append("its logits have another shape, are NaN or infinite")
    points, limit = parity.miou_points, MAX_MIOU_POINTS[precision]
    if points is not None and points > limit:
        found.append(f"its mIoU differs by {points:.2f} points; allowed {limit:g}")
    if points is None and parity.agreement < MIN_AGREEMENT[precision]:
        found.append(
            f"it gives {100 * parity.agreement:.2f} % of pixels the network's class; without "
            f"labels at least {100 * MIN_AGREEMENT[precision]:g} % are needed. Labels are the real "
            f"gate: with labelled images by --data the mIoU decides, within {limit:g} points"
        )
    return found


def at_size(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) resized bilinearly; bytes stay bytes."""
    if tuple(image.shape[-2:]) == size:
        return image
    resized = torch.nn.functional.interpolate(
        image.float(), size=size, mode="bilinear", align_corners=False, antialias=True
    )
    return resized.round().clamp(0, 255).to(torch.uint8) if image.dtype == torch.uint8 else resized
