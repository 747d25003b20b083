"""One evaluator for training, the command line, exported files and many processes.

The number that counts: whole images at native size, one confusion matrix over the data set.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.labels import LabelSpec
from dualseg.core.processes import ALONE, Processes
from dualseg.data.dataset import SegmentationDataset
from dualseg.evaluation.cropped import CenterCropped
from dualseg.evaluation.extra_scores import score_names
from dualseg.evaluation.tally import ImageScore, Tally, merge_tallies, tally_images
from dualseg.evaluation.uncertainty import ImageUncertainty, Uncertainty
from dualseg.evaluation.unlike import UnlikeLimits
from dualseg.inference.feature_shift import FeatureShift
from dualseg.inference.protocol import Protocol, strategy
from dualseg.inference.strategies import LogitsFunction, Precision, PreparesImages, find_facts
from dualseg.metrics.scores import Scores, scores_from_confusion

WHOLE = Protocol()


@dataclass(frozen=True)
class Evaluation:
    """Everything measured in one pass over a data set.

    Args:
        scores: From the confusion matrix.
        confusion: (K, K) int64 counts, rows truth, columns predictions.
        num_ignored: Pixels left out.
        labels: The data set's classes.
        protocol: How it was measured; a score means nothing without it.
        per_image: In the data set's order.
        seconds: Wall time of the pass.
        extra: What the scores asked for beyond these gave, as JSON shows it.
        uncertainty: Of each image, where asked for.
    """

    scores: Scores
    confusion: NDArray[np.int64]
    num_ignored: int
    labels: LabelSpec
    protocol: dict[str, Any]
    per_image: tuple[ImageScore, ...]
    seconds: float
    extra: Mapping[str, Any] = field(default_factory=dict)
    uncertainty: tuple[ImageUncertainty, ...] | None = None

    @property
    def num_images(self) -> int:
        """Images scored."""
        return len(self.per_image)

    @property
    def classes_without_pixels(self) -> tuple[str, ...]:
        """Classes of which the ground truth holds no pixel: nothing can be said about them."""
        pixels = zip(self.labels.class_names, self.scores.pixels_per_class, strict=True)
        return tuple(name for name, count in pixels if count == 0)

    @property
    def miou_per_image(self) -> float | None:
        """Mean of the images' own mIoUs, each over the classes in its ground truth; an image counts
        alike whatever its size. It is another number than the mIoU, and usually a higher one.
        """
        known = [score.miou for score in self.per_image if score.miou is not None]
        return math.fsum(known) / len(known) if known else None

    def unlike(self, limits: UnlikeLimits) -> dict[str, Any]:
        """Names of the images beyond the limits; needs the score `uncertainty`."""
        limits.require_protocol(self.protocol)
        pairs = zip(self.per_image, self.uncertainty or (), strict=True)
        names = [image.name for image, numbers in pairs if limits.is_exceeded_by(numbers)]
        numbers = {"entropy": limits.entropy, "feature_shift": limits.feature_shift}
        return {"limits": numbers, "images": names}

    def image_rows(self) -> list[dict[str, Any]]:
        """One object an image, in the data set's order, as `--per-image` shows it."""
        rows: list[dict[str, Any]] = [
            {"name": image.name, "miou": image.miou, "pixel_accuracy": image.pixel_accuracy}
            for image in self.per_image
        ]
        for row, numbers in zip(rows, self.uncertainty or (), strict=False):
            row |= numbers._asdict()
        return rows

    def to_dict(self) -> dict[str, Any]:
        """The object `dualseg evaluate --json` prints."""
        names = self.labels.class_names
        return {
            "miou": self.scores.miou,
            "pixel_accuracy": self.scores.pixel_accuracy,
            "class_accuracy": self.scores.class_accuracy,
            "fwiou": self.scores.fwiou,
            "iou_per_class": dict(zip(names, self.scores.iou_per_class, strict=True)),
            "num_images": self.num_images,
            "ignored_share": self.scores.ignored_share,
            "protocol": self.protocol,
            "miou_per_image": self.miou_per_image,
            "classes_without_pixels": list(self.classes_without_pixels),
            **self.extra,
        }


def evaluate(
    model: nn.Module,
    dataset: SegmentationDataset,
    *,
    facts: ModelFacts | None = None,
    device: str | torch.device | None = None,
    precision: Precision = "fp32",
    protocol: Protocol = WHOLE,
    scores: Sequence[str] = (),
    processes: Processes = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Scores a network, one image at a time.

    The network is evaluated in evaluation mode; every module is left in the mode it was in.

    Args:
        model: Plain or DSRL, also in the middle of its training.
        dataset: Its classes are the ones scored.
        facts: How the input is prepared; the network's own where not given.
        device: Where the network is moved; None leaves it where it is.
        precision: "fp32", or "bf16" under autocast. An exported file has its own, which is the one
            that stands beside the scores.
        protocol: How images are given to it; whole and at native size where not given. Another
            output stride is for the caller to build (`with_output_stride`).
        scores: Names of `EXTRA_SCORES`, or one of them, or "all".
        processes: Who shares the images; all of them get the same evaluation, that of one alone.
        progress: Called with (done, total) of this process's share.

    Raises:
        InputError: Network and data set have different numbers of classes, the data set is empty or
            holds labels that are no class, or every pixel is ignored.
    """
    facts = find_facts(model, facts)
    if device is not None:
        model.to(device)
    watch = "uncertainty" in score_names(scores)
    with evaluation_mode(model), FeatureShift(model) if watch else nullcontext() as shift:
        return evaluate_logits(
            strategy(model, facts, protocol, precision=precision),
            dataset,
            facts=facts,
            protocol=protocol,
            precision=model.own_precision if isinstance(model, PreparesImages) else precision,
            scores=scores,
            feature_shift=shift.take if shift is not None else None,
            processes=processes,
            progress=progress,
        )


def evaluate_logits(
    logits: LogitsFunction,
    dataset: SegmentationDataset,
    *,
    facts: ModelFacts,
    protocol: Protocol = WHOLE,
    precision: str = "fp32",
    scores: Sequence[str] = (),
    feature_shift: Callable[[], float | None] | None = None,
    processes: Processes = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Scores whatever gives logits at the size of its image: an exported file, another runtime.

    Args:
        logits: Follows the protocol already (`with_protocol`).
        dataset: Its classes are the ones scored.
        facts: Classes and input of the network behind `logits`.
        protocol: Stands beside the scores. For the protocol crop the images are cut here.
        precision: Stands beside the scores.
        scores: As in `evaluate`.
        feature_shift: As in `tally_images`.
        processes, progress: As in `evaluate`.

    Raises:
        InputError: As `evaluate`.
    """
    start = time.perf_counter()
    chosen = score_names(scores)
    shown = scored_dataset(dataset, facts, protocol)
    tally = tally_images(
        logits,
        shown,
        scores=chosen,
        rank=processes.rank,
        world=processes.world,
        feature_shift=feature_shift,
        progress=progress,
    )
    if processes.are_many:
        tally = merge_tallies(processes.gather(tally))
    seconds = time.perf_counter() - start
    return evaluation_of(tally, protocol=protocol.to_dict(facts, precision), seconds=seconds)


def scored_dataset(
    dataset: SegmentationDataset, facts: ModelFacts, protocol: Protocol
) -> SegmentationDataset:
    """The data set as the protocol sees it, after a check that it can be scored.

    Raises:
        InputError: It is empty, or has another number of classes than the network.
    """
    _require_same_classes(facts.labels, dataset.labels)
    if len(dataset) == 0:
        raise InputError(
            f"the split {dataset.split!r} holds no image; there is nothing to evaluate"
        )
    if protocol.name == "crop":
        return CenterCropped(dataset, protocol.window_for(facts))
    return dataset


def evaluation_of(tally: Tally, *, protocol: Mapping[str, Any], seconds: float) -> Evaluation:
    """Works the scores of a whole tally out.

    Args:
        tally: Of one process alone, or merged (`merge_tallies`).
        protocol: How it was measured.
        seconds: Wall time.

    Raises:
        InputError: Not one pixel was counted.
    """
    names = tally.labels.class_names
    extra: dict[str, Any] = {}
    scores = scores_from_confusion(tally.confusion, num_ignored=tally.num_ignored)
    for collector in tally.collectors.values():
        extra |= collector.result(names)
    unsure = tally.collectors.get("uncertainty")
    return Evaluation(
        scores=scores,
        confusion=tally.confusion,
        num_ignored=tally.num_ignored,
        labels=tally.labels,
        protocol=dict(protocol),
        per_image=tuple(tally.per_image),
        seconds=seconds,
        extra=extra,
        uncertainty=unsure.per_image if isinstance(unsure, Uncertainty) else None,
    )


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards every module is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _require_same_classes(known: LabelSpec, asked: LabelSpec) -> None:
    if known.num_classes != asked.num_classes:
        raise InputError(
            f"the network predicts {known.num_classes} classes ({_some(known)}), the data set has "
            f"{asked.num_classes} ({_some(asked)}); evaluate it on data with the classes it was "
            "trained on"
        )
    if known.class_names != asked.class_names:
        warnings.warn(
            f"the network's classes are called {_some(known)}, the data set's {_some(asked)}; "
            "they are compared "
            "by their ids",
            stacklevel=3,
        )


def _some(labels: LabelSpec) -> str:
    names = labels.class_names
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


__all__ = ["Evaluation", "ImageScore", "evaluate", "evaluate_logits", "evaluation_mode"]
