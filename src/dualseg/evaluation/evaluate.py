"""The number that counts: whole images at native size, one confusion matrix over the data set."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import SegmentationDataset
from dualseg.inference.predictor import batch_of_one, label_map_of
from dualseg.inference.strategies import Precision, find_facts, whole
from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.scores import Scores, miou_of_image, scores_from_confusion


@dataclass(frozen=True)
class ImageScore:
    """How one image went.

    Args:
        name: As the data set calls it.
        miou: Over the classes in this image's ground truth; None where all of it is ignored.
    """

    name: str
    miou: float | None


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
    """

    scores: Scores
    confusion: NDArray[np.int64]
    num_ignored: int
    labels: LabelSpec
    protocol: dict[str, Any]
    per_image: tuple[ImageScore, ...]
    seconds: float

    @property
    def num_images(self) -> int:
        """Images scored."""
        return len(self.per_image)

    @property
    def classes_without_pixels(self) -> tuple[str, ...]:
        """Classes of which the ground truth holds no pixel: nothing can be said about them."""
        pixels = zip(self.labels.class_names, self.scores.pixels_per_class, strict=True)
        return tuple(name for name, count in pixels if count == 0)

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
        }


def evaluate(
    model: nn.Module,
    dataset: SegmentationDataset,
    *,
    facts: ModelFacts | None = None,
    device: str | torch.device | None = None,
    precision: Precision = "fp32",
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Scores a network: one image at a time, whole, at its native size.

    The network is evaluated in evaluation mode; every module is left in the mode it was in.

    Args:
        model: Plain or DSRL, also in the middle of its training.
        dataset: Its classes are the ones scored.
        facts: How the input is prepared; the network's own where not given.
        device: Where the network is moved; None leaves it where it is.
        precision: "fp32", or "bf16" under autocast.
        progress: Called with (done, total) before the first image and after each.

    Raises:
        InputError: Network and data set have different numbers of classes, the data set is empty or
            holds labels that are no class, or every pixel is ignored.
    """
    facts = find_facts(model, facts)
    _require_same_classes(facts.labels, dataset.labels)
    if len(dataset) == 0:
        raise InputError(
            f"the split {dataset.split!r} holds no image; there is nothing to evaluate"
        )
    if device is not None:
        model.to(device)
    start = time.perf_counter()
    with evaluation_mode(model):
        confusion, num_ignored, per_image = _count(model, dataset, facts, precision, progress)
    return Evaluation(
        scores=scores_from_confusion(confusion, num_ignored=num_ignored),
        confusion=confusion,
        num_ignored=num_ignored,
        labels=dataset.labels,
        protocol=_protocol(facts, precision),
        per_image=tuple(per_image),
        seconds=time.perf_counter() - start,
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


def _count(
    model: nn.Module,
    dataset: SegmentationDataset,
    facts: ModelFacts,
    precision: Precision,
    progress: Callable[[int, int], object] | None,
) -> tuple[NDArray[np.int64], int, list[ImageScore]]:
    labels = dataset.labels
    logits = whole(model, facts, precision=precision)
    total = np.zeros((labels.num_classes, labels.num_classes), dtype=np.int64)
    num_ignored = 0
    per_image = []
    if progress is not None:
        progress(0, len(dataset))
    for index in range(len(dataset)):
        target = dataset.label_map(index)
        preds = label_map_of(logits(batch_of_one(dataset.image(index))))
        confusion = confusion_matrix(
            target, preds, labels.num_classes, ignore_index=labels.ignore_index
        )
        total += confusion
        num_ignored += target.size - int(confusion.sum())
        per_image.append(ImageScore(dataset.name(index), miou_of_image(confusion)))
        if progress is not None:
            progress(index + 1, len(dataset))
    return total, num_ignored, per_image


def _protocol(facts: ModelFacts, precision: Precision) -> dict[str, Any]:
    return {
        "name": "whole",
        "resolution": "native",
        "input_scale": facts.input_scale,
        "flip": False,
        "scales": [1.0],
        "precision": precision,
    }


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
