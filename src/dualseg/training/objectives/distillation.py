"""Distillation: a frozen teacher, fed the image at full resolution, shows what the student misses.

The teacher stands outside the student: it is in no checkpoint, no optimiser and no average. What it
knows is asked anew for every crop; logits kept from the whole image would not be those of a crop,
which ends where the image goes on, and is scaled, mirrored and coloured at random.
"""

import hashlib
import json
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dualseg.checkpoints.checksums import sha256_of
from dualseg.checkpoints.model_files import find_model, load_model
from dualseg.config import Recipe
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import shrink_images
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import PLAIN
from dualseg.losses.feature_affinity import feature_affinity_loss
from dualseg.models.segmentation import SegmentationModel
from dualseg.training.objectives.batch import TrainingBatch

FACTS_THAT_MATTER = (
    "architecture",
    "class_names",
    "channels",
    "min_value",
    "max_value",
    "mean",
    "std",
    "input_scale",
)
AUTOCAST_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Knowledge(NamedTuple):
    """What a teacher makes of a batch; without gradient.

    Attributes:
        logits: (B, K, h, w).
        features: (B, C, h', w') the last map before the prediction.
    """

    logits: Tensor
    features: Tensor


class Teacher:
    """A trained network that is asked and never changed.

    Args:
        network: With its `facts`; it is frozen and put into evaluation mode.
        fed: "full": the crop before the shrink (then shrunk as the teacher's own facts say);
            "same": what the student is fed.
        mean: Of the student's normalisation, which is undone; the teacher has its own.
        std: Likewise.
        precision: "fp32", or the type of autocast.
    """

    def __init__(
        self,
        network: SegmentationModel,
        *,
        fed: Literal["full", "same"],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        precision: str,
    ):
        assert network.facts is not None, "a loaded network has facts"
        self.network = network.eval().requires_grad_(False)
        self.facts: ModelFacts = network.facts
        self.fed = fed
        self.mean = mean
        self.std = std
        self.precision = precision

    @torch.no_grad()
    def __call__(self, batch: TrainingBatch) -> Knowledge:
        """Its logits and features for a batch; no random draw, no running statistics."""
        if self.fed == "full":
            image = shrink_images(self._renormalized(batch.image_hr), self.facts.input_scale)
        else:
            image = self._renormalized(batch.image)
        image = image.contiguous(memory_format=torch.channels_last)
        with torch.autocast(
            image.device.type,
            AUTOCAST_TYPES.get(self.precision, torch.bfloat16),
            enabled=self.precision in AUTOCAST_TYPES,
        ):
            features = self.network.encode(image).features
            size = (image.shape[-2], image.shape[-1])
            return Knowledge(*self.network.predictor(features, size))

    def _renormalized(self, image: Tensor) -> Tensor:
        if (self.mean, self.std) == (self.facts.mean, self.facts.std):
            return image

        def channels(values: tuple[float, ...]) -> Tensor:
            return image.new_tensor(values).view(1, -1, 1, 1)

        plain = image * channels(self.std) + channels(self.mean)
        return (plain - channels(self.facts.mean)) / channels(self.facts.std)


def load_teacher(
    recipe: Recipe, labels: LabelSpec, device: torch.device, *, images: ImageSpec = PLAIN
) -> Teacher | None:
    """The recipe's teacher on its device; None where it has none.

    Args:
        recipe: Names it, with the mean and deviation of the student.
        labels: Of the data.
        device: Where it computes.
        images: Bands and values of the data, which the teacher is shown too.

    Raises:
        InputError: There is no such model, it knows other classes, bands or values, or it is not
            the one the run began with.
    """
    settings = recipe.distillation
    if settings.teacher is None:
        return None
    recorded = settings.teacher_fingerprint
    if recorded is not None and recorded != teacher_fingerprint(settings.teacher):
        raise InputError(
            f"distillation.teacher {settings.teacher} is not the teacher this run began with: its "
            "weights or facts have changed; restore that one, or train anew"
        )
    network = load_model(settings.teacher)
    assert network.facts is not None, "load_model sets them"
    theirs = network.facts.labels.class_names
    if theirs != labels.class_names:
        raise InputError(
            f"the teacher {settings.teacher} knows other classes than the data: "
            f"{_difference(theirs, labels.class_names)}; take one trained on the same classes"
        )
    _require_same_images(network.facts.images, images, origin=settings.teacher)
    return Teacher(
        network.to(device=device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        fed=settings.input,
        mean=recipe.data.mean,
        std=recipe.data.std,
        precision=recipe.training.precision,
    )


def with_fingerprint(recipe: Recipe) -> Recipe:
    """The recipe with `distillation.teacher_fingerprint`, where it has a teacher.

    Raises:
        InputError: There is no such model.
    """
    settings = recipe.distillation
    if settings.teacher is None or settings.teacher_fingerprint is not None:
        return recipe
    update = {"teacher_fingerprint": teacher_fingerprint(settings.teacher)}
    return recipe.model_copy(update={"distillation": settings.model_copy(update=update)})


def teacher_fingerprint(path: str | Path) -> str:
    """Sixteen hexadecimal digits that change with the weights, or with a fact that matters."""
    weights_path, facts_path = find_model(path)
    facts = json.loads(facts_path.read_text())
    known = json.dumps([facts.get(name) for name in FACTS_THAT_MATTER], sort_keys=True)
    digest = hashlib.sha256(f"{sha256_of(weights_path)}\n{known}".encode())
    return digest.hexdigest()[:16]


def feature_distillation_loss(
    features: Tensor, teacher_features: Tensor, *, size: tuple[int, int], subsampling: int
) -> Tensor:
    """Do student and teacher call the same positions alike? The affinity loss of two maps.

    It needs neither the same number of channels nor weights of its own. Both maps are averaged to
    about `size` divided by `subsampling`; the student's is never enlarged.

    Args:
        features: (B, C, h, w) of the student.
        teacher_features: (B, D, h', w').
        size: (height, width) of the target.
        subsampling: See above.

    Source: Liu et al. 2019, arXiv:1903.04197, section 3.1.1 (pair-wise distillation). Differs:
        absolute differences.
    """
    kernel = max(1, round(features.shape[-1] * subsampling / size[1]))
    ours = F.avg_pool2d(features, kernel, ceil_mode=True, count_include_pad=False)
    theirs = F.adaptive_avg_pool2d(teacher_features.float(), (ours.shape[-2], ours.shape[-1]))
    return feature_affinity_loss(ours, theirs)


def _require_same_images(theirs: ImageSpec, ours: ImageSpec, *, origin: str) -> None:
    """Mean and deviation are converted; other bands cannot be, and other values are not.

    Raises:
        InputError: The teacher was trained on other bands, or on files of other values.
    """
    differences = []
    if theirs.num_channels != ours.num_channels:
        differences.append(f"{theirs.num_channels} bands, the data has {ours.num_channels}")
    elif _bands(theirs) != _bands(ours):
        differences.append(f"the bands {_bands(theirs)}, the data has {_bands(ours)}")
    if _value_range(theirs) != _value_range(ours):
        differences.append(f"{_value_range(theirs)}, the data has {_value_range(ours)}")
    if differences:
        raise InputError(
            f"the teacher {origin} was trained on images of {'; and of '.join(differences)}; take "
            "one trained on the same bands and values"
        )


def _bands(images: ImageSpec) -> list[int]:
    """Their numbers, counted from 1."""
    if isinstance(images.channels, int):
        return list(range(1, images.channels + 1))
    return list(images.channels)


def _value_range(images: ImageSpec) -> str:
    """In words; without a white of its own a file has eight bits, and 0 and 255 are its ends."""
    if images.max_value is None:
        return "eight bits"
    return f"values from {images.min_value:g} (black) to {images.max_value:g} (white)"


def _difference(theirs: tuple[str, ...], ours: tuple[str, ...]) -> str:
    """In words, short."""
    if len(theirs) != len(ours):
        return f"{len(theirs)} classes, not {len(ours)}"
    number = next(i for i, pair in enumerate(zip(theirs, ours, strict=True)) if pair[0] != pair[1])
    return f"its class {number} is {theirs[number]!r}, not {ours[number]!r}"
