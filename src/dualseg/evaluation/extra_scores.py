"""Scores beyond the confusion matrix by name."""

from collections.abc import Iterable

from dualseg.core.errors import InputError, nearest
from dualseg.evaluation.uncertainty import Uncertainty
from dualseg.metrics.batch_miou import BatchMiou
from dualseg.metrics.boundary_f import BoundaryF
from dualseg.metrics.boundary_iou import BoundaryIou
from dualseg.metrics.calibration import Calibration
from dualseg.metrics.collector import Collector
from dualseg.metrics.interval import MiouInterval
from dualseg.metrics.likelihood import CrossEntropy
from dualseg.metrics.object_sizes import ObjectSizes
from dualseg.metrics.trimap import Trimap

EXTRA_SCORES = (
    "interval",
    "batch",
    "cross_entropy",
    "calibration",
    "boundary_iou",
    "boundary_f",
    "trimap",
    "object_sizes",
    "uncertainty",
)


def score_names(asked: Iterable[str]) -> tuple[str, ...]:
    """The names in our order, each once; `all` stands for every one. A text is one name.

    Raises:
        InputError: A name is unknown.
    """
    asked = [asked] if isinstance(asked, str) else list(asked)
    for name in asked:
        if name not in (*EXTRA_SCORES, "all"):
            raise InputError(f"there is no score {name!r}; {nearest(name, (*EXTRA_SCORES, 'all'))}")
    return tuple(name for name in EXTRA_SCORES if name in asked or "all" in asked)


def create_collectors(names: Iterable[str], num_classes: int) -> dict[str, Collector]:
    """A fresh collector for each name.

    Raises:
        InputError: A name is unknown.
    """
    made = {
        "interval": lambda: MiouInterval(num_classes),
        "batch": lambda: BatchMiou(num_classes),
        "cross_entropy": CrossEntropy,
        "calibration": Calibration,
        "boundary_iou": lambda: BoundaryIou(num_classes),
        "boundary_f": lambda: BoundaryF(num_classes),
        "trimap": lambda: Trimap(num_classes),
        "object_sizes": lambda: ObjectSizes(num_classes),
        "uncertainty": Uncertainty,
    }
    return {name: made[name]() for name in score_names(names)}
