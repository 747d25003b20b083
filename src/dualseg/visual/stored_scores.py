"""The scores beyond the confusion matrix, as `evaluation.json` may hold them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OBJECT_SIZES = ("small", "medium", "large")
BOUNDARY_SCORES = {"boundary_iou": "Boundary IoU", "boundary_f": "Boundary F"}


@dataclass(frozen=True)
class Interval:
    """Where the mIoU of other images of the same kind may lie.

    Args:
        low: Lower end.
        high: Upper end.
        level: Share of the resamples inside.
    """

    low: float
    high: float
    level: float

    def __str__(self) -> str:
        return f"{self.low:.3f} to {self.high:.3f}"


@dataclass(frozen=True)
class ReliabilityBin:
    """Pixels of one range of confidence.

    Args:
        low: Least confidence, left out.
        high: Greatest, counted in.
        pixels: In the bin.
        accuracy: Share of them that is right; None without pixels.
        confidence: Their mean; None without pixels.
    """

    low: float
    high: float
    pixels: int
    accuracy: float | None
    confidence: float | None


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error and its bins."""

    ece: float | None
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class SizeScore:
    """Objects of one size.

    Args:
        num_objects: In the ground truth.
        recall: Share of their pixels that is right.
        found: Share of the objects that is at least half right.
    """

    num_objects: int
    recall: float | None
    found: float | None


@dataclass(frozen=True)
class ObjectScores:
    """Areas in pixels from which objects are medium and large, and the score of each size."""

    limits: tuple[int, int]
    sizes: Mapping[str, SizeScore]


@dataclass(frozen=True)
class BoundaryScore:
    """Mean over the classes, each class, and the width as a share of the image's diagonal."""

    mean: float | None
    per_class: Mapping[str, float | None]
    ratio: float


@dataclass(frozen=True)
class Band:
    """Pixels of one range of distances from a boundary.

    Args:
        low: Least distance in pixels, counted in.
        high: Greatest, left out; None where there is no end.
        pixels: In the band.
        pixel_accuracy: Share of them that is right; None without pixels.
        miou: Of them alone; None without pixels.
    """

    low: int
    high: int | None
    pixels: int
    pixel_accuracy: float | None
    miou: float | None


@dataclass(frozen=True)
class ExtraScores:
    """What an evaluation was asked for; None for what it was not."""

    interval: Interval | None = None
    calibration: Calibration | None = None
    objects: ObjectScores | None = None
    boundaries: Mapping[str, BoundaryScore] | None = None
    bands: tuple[Band, ...] | None = None


def read_extra_scores(plain: Mapping[str, Any]) -> ExtraScores:
    """Out of the object of `evaluation.json`.

    Raises:
        KeyError, TypeError, ValueError: It is damaged.
    """
    return ExtraScores(
        interval=_interval(plain["miou_interval"]) if plain.get("miou_interval") else None,
        calibration=_calibration(plain["calibration"]) if plain.get("calibration") else None,
        objects=_objects(plain["object_sizes"]) if plain.get("object_sizes") else None,
        boundaries={key: _boundary(plain[key]) for key in BOUNDARY_SCORES if plain.get(key)}
        or None,
        bands=tuple(map(_band, plain["trimap"]["bands"])) if plain.get("trimap") else None,
    )


def _interval(plain: Mapping[str, Any]) -> Interval:
    return Interval(float(plain["low"]), float(plain["high"]), float(plain["level"]))


def _calibration(plain: Mapping[str, Any]) -> Calibration:
    bins = tuple(
        ReliabilityBin(
            low=float(item["from"]),
            high=float(item["to"]),
            pixels=int(item["pixels"]),
            accuracy=_score(item["accuracy"]),
            confidence=_score(item["confidence"]),
        )
        for item in plain["bins"]
    )
    return Calibration(_score(plain["ece"]), bins)


def _objects(plain: Mapping[str, Any]) -> ObjectScores:
    medium, large = plain["limits"]
    sizes = {
        size: SizeScore(
            num_objects=int(plain[size]["num_objects"]),
            recall=_score(plain[size]["recall"]),
            found=_score(plain[size]["found"]),
        )
        for size in OBJECT_SIZES
    }
    return ObjectScores((int(medium), int(large)), sizes)


def _boundary(plain: Mapping[str, Any]) -> BoundaryScore:
    per_class = {str(name): _score(value) for name, value in plain["per_class"].items()}
    return BoundaryScore(_score(plain["mean"]), per_class, float(plain["ratio"]))


def _band(plain: Mapping[str, Any]) -> Band:
    return Band(
        low=int(plain["from"]),
        high=None if plain["to"] is None else int(plain["to"]),
        pixels=int(plain["pixels"]),
        pixel_accuracy=_score(plain["pixel_accuracy"]),
        miou=_score(plain["miou"]),
    )


def _score(value: Any) -> float | None:
    return None if value is None else float(value)
