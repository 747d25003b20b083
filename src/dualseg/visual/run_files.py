"""Reads what a report is made from: the files of a run folder. Each may be missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dualseg.checkpoints import model_files
from dualseg.checkpoints.json_files import read_json
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.history import METRICS_FILE, read_history
from dualseg.core.labels import LabelSpec
from dualseg.visual.stored_scores import ExtraScores, read_extra_scores

CONFIG_FILE = "config.yaml"
EVALUATION_FOLDER = "evaluation"
EVALUATION_FILE = "evaluation.json"
GALLERY_FOLDER = "gallery"
MAKE_ANEW = "dualseg resume RUN makes the pictures and scores of a run anew"
SCORES = ("miou", "pixel_accuracy", "class_accuracy", "fwiou", "ignored_share", "num_images")


@dataclass(frozen=True)
class GalleryImage:
    """One image a run keeps for its report.

    Args:
        name: As the data set calls it.
        roles: Out of "best", "worst", "sample".
        miou: Over the classes in its ground truth.
        folder: Where its files are.
        files: "input", "truth", "prediction" -> file name; where it is at hand also "image", the
            whole image at its native size.
    """

    name: str
    roles: tuple[str, ...]
    miou: float | None
    folder: Path
    files: Mapping[str, str]

    def read(self, part: str) -> NDArray[np.uint8]:
        """ "input": (h, w, 3) RGB as the network saw it; "image": (H, W, 3); "truth", "prediction":
        (H, W) class ids.

        Raises:
            InputError: The file is missing or damaged.
        """
        path = self.folder / Path(self.files[part]).name
        try:
            with Image.open(path, formats=("PNG",)) as image:
                return np.asarray(image.convert("RGB") if part in ("input", "image") else image)
        except (OSError, ValueError, SyntaxError) as error:
            raise InputError(f"cannot read {path}: {error}; {MAKE_ANEW}") from None


@dataclass(frozen=True)
class ResampledMious:
    """The mIoU of every set of images that the interval's bootstrap drew.

    Args:
        settings: (seed, number of resamples): runs on the same images that share them drew the
            same sets.
        mious: One a set.
    """

    settings: tuple[int, int]
    mious: tuple[float, ...]


@dataclass(frozen=True)
class StoredEvaluation:
    """`evaluation.json`.

    Args:
        scores: The object of `dualseg evaluate --json`.
        labels: Classes scored.
        confusion: (K, K) counts, rows truth.
        pixels_per_class: Ground-truth pixels.
        split: Of the data set.
        parameters: Of the network without its training branches.
        seconds: The evaluation took.
        gallery: Images kept, best first, then worst.
        checkpoint: Which of the run's was evaluated; None where it was not written down.
        step: Of the checkpoint, where known.
        per_image: (name, mIoU over the classes in its ground truth), in the data set's order.
        extra: Scores beyond the confusion matrix, as far as they were asked for.
        resampled: For the interval of a difference; None where it was not kept.
    """

    scores: Mapping[str, Any]
    labels: LabelSpec
    confusion: NDArray[np.int64]
    pixels_per_class: tuple[int, ...]
    split: str
    parameters: int
    seconds: float
    gallery: tuple[GalleryImage, ...]
    checkpoint: str | None
    step: int | None
    per_image: tuple[tuple[str, float | None], ...]
    extra: ExtraScores
    resampled: ResampledMious | None

    @property
    def iou_per_class(self) -> tuple[float | None, ...]:
        """In the order of the classes."""
        return tuple(self.scores["iou_per_class"][name] for name in self.labels.class_names)


def read_evaluation(run_folder: Path) -> StoredEvaluation | None:
    """The evaluation a run keeps; None where it has none yet.

    Raises:
        InputError: The file is damaged.
    """
    folder = run_folder / EVALUATION_FOLDER
    path = folder / EVALUATION_FILE
    if not path.is_file():
        return None
    plain = read_json(path)
    try:
        labels = LabelSpec.from_dict(plain)
        _require_scores(plain, labels)
        return StoredEvaluation(
            scores=plain,
            labels=labels,
            confusion=np.array(plain["confusion"], dtype=np.int64),
            pixels_per_class=tuple(map(int, plain["pixels_per_class"])),
            split=str(plain["split"]),
            parameters=int(plain["parameters"]),
            seconds=float(plain["seconds"]),
            gallery=tuple(_gallery_image(folder, item) for item in plain["gallery"]),
            checkpoint=None if plain.get("checkpoint") is None else str(plain["checkpoint"]),
            step=None if plain.get("step") is None else int(plain["step"]),
            per_image=tuple((str(name), miou) for name, miou in plain.get("per_image", [])),
            extra=read_extra_scores(plain),
            resampled=_resampled(plain.get("resampled_miou")),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error!r}); {MAKE_ANEW}") from None


def read_facts(run_folder: Path) -> ModelFacts | None:
    """The facts of the best checkpoint, or the last one; None where there is none yet.

    Raises:
        InputError: The file is damaged.
    """
    for kind in ("best", "last"):
        path = run_folder / "checkpoints" / kind / model_files.FACTS_FILE
        if path.is_file():
            return model_files.read_facts(path)
    return None


def split_history(run_folder: Path, split: str) -> list[dict[str, Any]]:
    """Measurements of one split by step; of two lines for one step the later counts."""
    entries = read_history(run_folder / METRICS_FILE)
    by_step = {entry["step"]: entry for entry in entries if entry["split"] == split}
    return [by_step[step] for step in sorted(by_step)]


def points_of(entries: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    """(step, value) of every entry that has the value; null stands for NaN and is left out."""
    return [(entry["step"], entry[key]) for entry in entries if entry.get(key) is not None]


def _require_scores(plain: Mapping[str, Any], labels: LabelSpec) -> None:
    """What a page takes as read: numbers, and one a class where there should be.

    Raises:
        KeyError, TypeError, ValueError: It is not there.
    """
    found = [(name, plain[name]) for name in SCORES]
    maybe = [
        (f"iou_per_class of {name}", plain["iou_per_class"][name]) for name in labels.class_names
    ]
    maybe += [(f"per_image of {name}", miou) for name, miou in plain.get("per_image", [])]
    maybe += [("miou of the gallery", item["miou"]) for item in plain["gallery"]]
    found += [(what, value) for what, value in maybe if value is not None]
    for what, value in found:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{what} is {value!r}, no number")
    if not isinstance(plain["protocol"], Mapping):
        raise TypeError("protocol is no object")
    num_classes = labels.num_classes
    shapes = [np.shape(plain[name]) for name in ("confusion", "pixels_per_class")]
    if shapes != [(num_classes, num_classes), (num_classes,)]:
        raise ValueError(f"counts of shape {shapes} for {num_classes} classes")


def _resampled(plain: Mapping[str, Any] | None) -> ResampledMious | None:
    if plain is None:
        return None
    settings = int(plain["seed"]), int(plain["resamples"])
    return ResampledMious(settings, tuple(float(value) for value in plain["mious"]))


def _gallery_image(folder: Path, item: Mapping[str, Any]) -> GalleryImage:
    return GalleryImage(
        name=str(item["name"]),
        roles=tuple(item["roles"]),
        miou=item["miou"],
        folder=folder / GALLERY_FOLDER,
        files={part: str(item[part]) for part in ("input", "truth", "prediction")},
    )
