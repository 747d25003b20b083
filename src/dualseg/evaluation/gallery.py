"""Keeps what a report shows: scores, and the pictures of a few images.

`RUN/evaluation/evaluation.json` holds the numbers, `RUN/evaluation/gallery/` three PNG files an
image: what the network saw, the true label map and the predicted one.
"""

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dualseg.core.facts import ModelFacts
from dualseg.core.files import new_folder, write_bytes, write_json
from dualseg.core.geometry import shrink_images
from dualseg.core.image_spec import to_rgb
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.pictures.images import write_label_png
from dualseg.evaluation.evaluate import Evaluation, evaluation_mode
from dualseg.evaluation.latency import count_parameters
from dualseg.inference.label_maps import label_map_of
from dualseg.inference.predictor import batch_of_one
from dualseg.inference.strategies import LogitsFunction, Precision, find_facts, whole
from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.scores import miou_of_image
from dualseg.visual.pictures import encode_png
from dualseg.visual.run_files import (
    EVALUATION_FILE,
    EVALUATION_FOLDER,
    GALLERY_FOLDER,
    GalleryImage,
)

SAMPLES = 12
"""Images kept whatever their score, evenly spaced: the same in every run, to compare runs on."""


def collect_gallery(
    run_folder: Path,
    model: nn.Module,
    dataset: SegmentationDataset,
    evaluation: Evaluation,
    *,
    facts: ModelFacts | None = None,
    count: int = 4,
    precision: Precision = "fp32",
    checkpoint: str = "best",
    resampled: Mapping[str, Any] | None = None,
) -> Path:
    """Writes `RUN/evaluation`, in the place of an older one.

    Args:
        run_folder: Where to.
        model: The network that was evaluated, pruned (its parameters are counted).
        dataset: What it was evaluated on.
        evaluation: The result.
        facts: How the input is prepared; the network's own where not given.
        count: Best images and worst images, so many of each.
        precision: As in the evaluation.
        checkpoint: Which of the run's checkpoints was evaluated, "best" or "last"; it is kept with
            its step, where the checkpoint's link names one.
        resampled: `seed`, `resamples` and `mious` of the interval's bootstrap, kept for the
            intervals of differences between runs.

    Returns:
        The folder.

    Raises:
        InputError: The folder cannot be written; the older one stays.
    """
    facts = find_facts(model, facts)
    chosen = choose_images([score.miou for score in evaluation.per_image], count)
    target = run_folder / EVALUATION_FOLDER
    with evaluation_mode(model), new_folder(target) as folder:
        (folder / GALLERY_FOLDER).mkdir()
        logits = whole(model, facts, precision=precision)
        gallery = [
            _keep_image(folder / GALLERY_FOLDER, dataset, index, facts, logits)
            | {"miou": evaluation.per_image[index].miou, "roles": roles}
            for index, roles in chosen.items()
        ]
        content = _content(evaluation) | {
            "split": dataset.split,
            "checkpoint": checkpoint,
            "step": _step_of(run_folder / "checkpoints" / checkpoint),
            "parameters": count_parameters(model),
            "gallery": gallery,
            **({} if resampled is None else {"resampled_miou": dict(resampled)}),
        }
        write_json(folder / EVALUATION_FILE, content)
        shutil.rmtree(target, ignore_errors=True)
    return target


def draw_images(
    folder: Path,
    model: nn.Module,
    dataset: SegmentationDataset,
    names: Sequence[str],
    *,
    facts: ModelFacts | None = None,
    precision: Precision = "fp32",
) -> tuple[GalleryImage, ...]:
    """Predicts images that a run does not keep, for a comparison; whole images in addition.

    Args:
        folder: An empty one that exists, for the pictures.
        model: The network that was evaluated.
        dataset: What it was evaluated on.
        names: Of the images; those the data set lacks are left out.
        facts: How the input is prepared; the network's own where not given.
        precision: As in the evaluation.
    """
    facts = find_facts(model, facts)
    places = {dataset.name(index): index for index in range(len(dataset))}
    drawn = []
    with evaluation_mode(model):
        logits = whole(model, facts, precision=precision)
        for name in names:
            if name in places:
                drawn.append(_draw_image(folder, dataset, places[name], facts, logits))
    return tuple(drawn)


def choose_images(mious: Iterable[float | None], count: int) -> dict[int, list[str]]:
    """Which images to keep, and why: index -> roles out of "best", "worst", "sample".

    Best come first, best one first; then the worst, worst one first. No image is both.
    """
    mious = list(mious)
    scored = [index for index, miou in enumerate(mious) if miou is not None]
    ranked = sorted(scored, key=lambda index: (-(mious[index] or 0.0), index))
    num_best = min(count, (len(ranked) + 1) // 2)
    num_worst = min(count, len(ranked) - num_best)
    samples = np.unique(np.linspace(0, len(mious) - 1, min(SAMPLES, len(mious))).round())
    chosen: dict[int, list[str]] = {}
    for role, indices in (
        ("best", ranked[:num_best]),
        ("worst", ranked[::-1][:num_worst]),
        ("sample", [int(index) for index in samples]),
    ):
        for index in indices:
            chosen.setdefault(index, []).append(role)
    return chosen


def _step_of(checkpoint: Path) -> int | None:
    """The step in the name of the folder that a checkpoint's link points to; None without one."""
    if not checkpoint.is_symlink():
        return None
    match = re.fullmatch(r"step_(\d+)", checkpoint.readlink().name)
    return int(match[1]) if match else None


def _keep_image(
    folder: Path,
    dataset: SegmentationDataset,
    index: int,
    facts: ModelFacts,
    logits: LogitsFunction,
) -> dict[str, Any]:
    image = batch_of_one(dataset.image(index))
    files = {part: f"{index:06d}_{part}.png" for part in ("input", "truth", "prediction")}
    write_bytes(folder / files["input"], encode_png(_as_seen(image, facts.input_scale)))
    write_label_png(folder / files["truth"], dataset.label_map(index), dataset.labels)
    write_label_png(folder / files["prediction"], label_map_of(logits(image)), dataset.labels)
    return {"name": dataset.name(index), **files}


def _draw_image(
    folder: Path,
    dataset: SegmentationDataset,
    index: int,
    facts: ModelFacts,
    logits: LogitsFunction,
) -> GalleryImage:
    kept = _keep_image(folder, dataset, index, facts, logits)
    files = {part: kept[part] for part in ("input", "truth", "prediction")}
    files["image"] = f"{index:06d}_image.png"
    write_bytes(
        folder / files["image"], encode_png(_as_seen(batch_of_one(dataset.image(index)), 1.0))
    )
    image = GalleryImage(name=kept["name"], roles=(), miou=None, folder=folder, files=files)
    labels = dataset.labels
    confusion = confusion_matrix(
        image.read("truth"),
        image.read("prediction"),
        labels.num_classes,
        ignore_index=labels.ignore_index,
    )
    return replace(image, miou=miou_of_image(confusion))


def _as_seen(image: torch.Tensor, input_scale: float) -> NDArray[np.uint8]:
    """(1, C, H, W) -> (h, w, 3): the pixels that reach the network, in what `to_rgb` shows."""
    shrunk = shrink_images(image.float(), input_scale)[0].permute(1, 2, 0)
    return to_rgb(shrunk.round().clamp(0, 255).to(torch.uint8).numpy())


def _content(evaluation: Evaluation) -> dict[str, Any]:
    labels = evaluation.labels
    return {
        **evaluation.to_dict(),
        "seconds": evaluation.seconds,
        "class_names": list(labels.class_names),
        "palette": [list(color) for color in labels.palette],
        "ignore_index": labels.ignore_index,
        "pixels_per_class": list(evaluation.scores.pixels_per_class),
        "confusion": evaluation.confusion.tolist(),
        "per_image": [[score.name, score.miou] for score in evaluation.per_image],
    }
