"""What is counted while images are scored; the tallies of several processes add up exactly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.geometry import resize_logits
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import SegmentationDataset
from dualseg.evaluation.extra_scores import create_collectors, score_names
from dualseg.inference.label_maps import label_map_of
from dualseg.inference.predictor import batch_of_one
from dualseg.inference.strategies import LogitsFunction, unresized
from dualseg.metrics.collector import Collector, ScoredImage
from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.scores import miou_of_image


@dataclass(frozen=True)
class ImageScore:
    """How one image went.

    Args:
        name: As the data set calls it.
        miou: Over the classes in this image's ground truth; None where all of it is ignored.
        pixel_accuracy: Share of its labelled pixels that are right; None likewise.
    """

    name: str
    miou: float | None
    pixel_accuracy: float | None = None


@dataclass
class Tally:
    """One process's share of an evaluation, or all of it.

    Args:
        labels: The data set's classes.
        confusion: (K, K) int64 counts, rows truth, columns predictions.
        num_ignored: Pixels left out.
        per_image: Of this share, in the data set's order.
        collectors: Scores beyond the confusion matrix.
        rank: Images number rank, rank + world, ... are this share.
        world: Number of shares.
    """

    labels: LabelSpec
    confusion: NDArray[np.int64]
    num_ignored: int
    per_image: list[ImageScore]
    collectors: dict[str, Collector]
    rank: int = 0
    world: int = 1


def tally_images(
    logits: LogitsFunction,
    dataset: SegmentationDataset,
    *,
    scores: Sequence[str] = (),
    rank: int = 0,
    world: int = 1,
    feature_shift: Callable[[], float | None] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Tally:
    """Scores the images of one share, one at a time.

    Args:
        logits: A network under some protocol, an exported file, or any other function.
        dataset: The whole data set; its classes are the ones scored.
        scores: Names of `EXTRA_SCORES`, or "all".
        rank: Number of this share.
        world: Number of shares; every image is in exactly one, none is repeated.
        feature_shift: Called after each image for the shift of its features (`FeatureShift.take`).
        progress: Called with (done, total) of this share before its first image and after each.

    Raises:
        InputError: An unknown score, or labels that are no class.
    """
    labels = dataset.labels
    tally = Tally(
        labels=labels,
        confusion=np.zeros((labels.num_classes, labels.num_classes), np.int64),
        num_ignored=0,
        per_image=[],
        collectors=create_collectors(score_names(scores), labels.num_classes),
        rank=rank,
        world=world,
    )
    share = range(rank, len(dataset), world)
    if progress is not None:
        progress(0, len(share))
    for done, index in enumerate(share, start=1):
        _add_image(tally, logits, dataset, index, feature_shift)
        if progress is not None:
            progress(done, len(share))
    return tally


def merge_tallies(tallies: Sequence[Tally]) -> Tally:
    """The tally one process alone would have made, to the last digit.

    Args:
        tallies: Of every process, in any order; they are left as they are, but for their
            collectors.

    Raises:
        InputError: A share is missing or stands twice.
    """
    parts = sorted(tallies, key=lambda tally: tally.rank)
    world = len(parts)
    if [(part.rank, part.world) for part in parts] != [(rank, world) for rank in range(world)]:
        shown = ", ".join(f"{part.rank} of {part.world}" for part in parts)
        raise InputError(f"the shares {shown} do not make a whole; give each exactly once")
    per_image: list[ImageScore | None] = [None] * sum(len(part.per_image) for part in parts)
    for part in parts:
        per_image[part.rank :: world] = part.per_image
    collectors = parts[0].collectors
    for part in parts[1:]:
        for name, collector in part.collectors.items():
            collectors[name].merge(collector)
    return Tally(
        labels=parts[0].labels,
        confusion=np.stack([part.confusion for part in parts]).sum(axis=0),
        num_ignored=sum(part.num_ignored for part in parts),
        per_image=[score for score in per_image if score is not None],
        collectors=collectors,
    )


def _add_image(
    tally: Tally,
    logits: LogitsFunction,
    dataset: SegmentationDataset,
    index: int,
    feature_shift: Callable[[], float | None] | None,
) -> None:
    labels = tally.labels
    target = dataset.label_map(index)
    image = batch_of_one(dataset.image(index))
    size = (image.shape[-2], image.shape[-1])
    # A network's logits are enlarged only where a score asks for them; the labels are the same.
    answer = unresized(logits, image)
    preds = label_map_of(answer, size)
    confusion = confusion_matrix(
        target, preds, labels.num_classes, ignore_index=labels.ignore_index
    )
    num_valid = int(confusion.sum())
    tally.confusion += confusion
    tally.num_ignored += target.size - num_valid
    accuracy = int(np.trace(confusion)) / num_valid if num_valid else None
    tally.per_image.append(ImageScore(dataset.name(index), miou_of_image(confusion), accuracy))
    shift = feature_shift() if feature_shift is not None else None
    if not tally.collectors:
        return
    answer = resize_logits(answer, size)
    scored = ScoredImage(index, target, preds, confusion, answer, labels.ignore_index, shift)
    for collector in tally.collectors.values():
        collector.add(scored)
