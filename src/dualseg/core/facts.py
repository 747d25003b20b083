"""What must be known about a model to use it: the content of `model.json`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dualseg.core.errors import InputError
from dualseg.core.image_spec import IMAGENET_MEAN, IMAGENET_STD, ImageSpec
from dualseg.core.labels import LabelSpec, voc_palette

FORMAT = "dualseg-model/1"


@dataclass(frozen=True)
class ModelFacts:
    """Everything prediction needs beside the weights.

    Args:
        architecture: Arguments of `create_model`, by name; rebuilds the network.
        labels: Classes, palette, ignored id.
        mean: Mean of each band that is subtracted, for values in 0..1.
        std: Standard deviation of each band that divides.
        input_scale: The network sees the image shrunk by this factor (0.5: half height and width).
        training_size: (height, width) of the training crop, before the shrink.
        source: Where the weights come from.
        score: Best known mIoU, 0 to 1.
        protocol: How `score` was measured.
        images: Bands and values of the images it was trained on.

    Raises:
        InputError: mean or std have not one number a band, or a value cannot be.
    """

    architecture: Mapping[str, Any]
    labels: LabelSpec
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    input_scale: float = 1.0
    training_size: tuple[int, int] | None = None
    source: str = ""
    score: float | None = None
    protocol: Mapping[str, Any] | None = field(default=None)
    images: ImageSpec = field(default_factory=ImageSpec)

    def __post_init__(self) -> None:
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) != self.images.num_channels:
                raise InputError(
                    f"{name} has {len(numbers)} numbers, but the images have "
                    f"{self.images.num_channels} bands; give one number a band"
                )
        size, score, scale = self.training_size, self.score, self.input_scale
        for name, can_be, allowed in (
            ("mean", all(map(math.isfinite, self.mean)), "numbers that are finite"),
            ("std", all(0 < value < math.inf for value in self.std), "numbers above 0"),
            ("input_scale", 0 < scale < math.inf, "a number above 0, such as 0.5"),
            ("training_size", size is None or _is_size(size), "height and width of at least 1"),
            ("score", score is None or 0 <= score <= 1, "a mIoU of 0 to 1"),
        ):
            if not can_be:
                raise InputError(f"{name} is {getattr(self, name)}; it must be {allowed}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `model.json`."""
        return {
            "format": FORMAT,
            "architecture": dict(self.architecture),
            "num_classes": self.labels.num_classes,
            **self.labels.to_dict(),
            **self.images.to_dict(),
            "mean": list(self.mean),
            "std": list(self.std),
            "input_scale": self.input_scale,
            "training_size": list(self.training_size) if self.training_size else None,
            "source": self.source,
            "score": self.score,
            "protocol": dict(self.protocol) if self.protocol else None,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "ModelFacts":
        """The inverse of `to_dict`."""
        size = plain.get("training_size")
        return cls(
            architecture=dict(plain["architecture"]),
            labels=LabelSpec.from_dict(plain),
            mean=tuple(float(value) for value in plain["mean"]),
            std=tuple(float(value) for value in plain["std"]),
            input_scale=float(plain.get("input_scale", 1.0)),
            training_size=None if size is None else tuple(map(int, size)),  # type: ignore[arg-type]
            source=str(plain.get("source", "")),
            score=plain.get("score"),
            protocol=plain.get("protocol"),
            images=ImageSpec.from_dict(plain),
        )


def _is_size(size: tuple[int, ...]) -> bool:
    return len(size) == 2 and min(size) >= 1


def default_labels(num_classes: int) -> LabelSpec:
    """Labels of a network that no data set has named: `class_0`, `class_1`, ... in VOC colours."""
    names = tuple(f"class_{i}" for i in range(num_classes))
    return LabelSpec(class_names=names, palette=voc_palette(num_classes))
