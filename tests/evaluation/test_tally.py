"""Shares of an evaluation make exactly the evaluation of one process."""

import gc
import json
import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from evaluation_fakes import LABELS, Threshold, TinyDataset
from torch import Tensor

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.evaluation.evaluate import evaluate, evaluation_of
from dualseg.evaluation.extra_scores import EXTRA_SCORES
from dualseg.evaluation.tally import Tally, merge_tallies, tally_images
from dualseg.inference.protocol import Protocol, strategy

MODEL = Threshold().eval()


def noisy_images(count: int) -> TinyDataset:
    rng = np.random.default_rng(0)
    targets = [rng.choice(np.array([0, 1, 255]), (5 + i, 9)) for i in range(count)]
    drawn = [np.where(rng.random(t.shape) < 0.2, 1 - t % 2, t % 2) * 0.7 for t in targets]
    if count > 4:
        targets[3] = np.full_like(targets[3], 255)  # one image says nothing
    return TinyDataset(targets, drawn)


def share(dataset: TinyDataset, rank: int, world: int, protocol: Protocol | None = None) -> Tally:
    logits = strategy(MODEL, MODEL.facts, protocol or Protocol())
    return tally_images(logits, dataset, scores=["all"], rank=rank, world=world)


def finished(tally: Tally) -> str:
    evaluation = evaluation_of(tally, protocol={"name": "whole"}, seconds=0.0)
    return json.dumps([evaluation.to_dict(), evaluation.image_rows()], allow_nan=False)


@pytest.mark.parametrize("world", [2, 3, 5])
def test_shares_equal_one_process_to_the_last_digit(world: int) -> None:
    dataset = noisy_images(11)
    shares = [share(dataset, rank, world) for rank in range(world)]
    assert finished(merge_tallies(shares[::-1])) == finished(share(dataset, 0, 1))


def test_more_processes_than_images() -> None:
    dataset = noisy_images(2)
    shares = [share(dataset, rank, 5) for rank in range(5)]
    assert [len(part.per_image) for part in shares] == [1, 1, 0, 0, 0]
    assert finished(merge_tallies(shares)) == finished(share(dataset, 0, 1))


def test_the_evaluator_is_the_same_one() -> None:
    dataset = noisy_images(6)
    whole = evaluate(MODEL, dataset, scores=["all"])
    again = evaluation_of(share(dataset, 0, 1), protocol=whole.protocol, seconds=1.0)
    assert again.to_dict() == whole.to_dict()
    assert set(whole.extra) == {
        "miou_interval",
        "miou_per_batch",
        "cross_entropy",
        "calibration",
        "boundary_iou",
        "boundary_f",
        "trimap",
        "object_sizes",
        "uncertainty",
    }
    assert len(whole.extra) == len(EXTRA_SCORES)


def test_shares_travel_between_processes() -> None:
    dataset = noisy_images(5)
    parts = [pickle.loads(pickle.dumps(share(dataset, rank, 2))) for rank in range(2)]
    assert finished(merge_tallies(parts)) == finished(share(dataset, 0, 1))


def test_a_missing_or_doubled_share_is_refused() -> None:
    dataset = noisy_images(3)
    first = share(dataset, 0, 2)
    with pytest.raises(InputError, match="the shares 0 of 2 do not make a whole"):
        merge_tallies([first])
    with pytest.raises(InputError, match="0 of 2, 0 of 2"):
        merge_tallies([first, first])


def test_unknown_score_is_refused() -> None:
    with pytest.raises(InputError, match="no score 'boundary'; did you mean boundary_f"):
        evaluate(MODEL, noisy_images(1), scores=["boundary"])


class ManyTinyImages:
    """A data set of 3 x 4 pixels an image, made when asked for."""

    split = "val"

    def __init__(self, count: int, num_classes: int):
        names = tuple(f"class_{number}" for number in range(num_classes))
        self.labels = LabelSpec(names, ((0, 0, 0),) * num_classes)
        self.count = count

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"frame_{index:06d}"

    def image(self, index: int) -> np.ndarray:
        return np.full((3, 4, 3), index % 251, np.uint8)

    def label_map(self, index: int) -> np.ndarray:
        return np.full((3, 4), index % self.labels.num_classes, np.uint8)

    def image_path(self, index: int) -> None:
        return None

    def label_path(self, index: int) -> None:
        return None


def kept_bytes(dataset: ManyTinyImages, scores: list[str]) -> int:
    """Bytes that are still there after a tally."""
    answer = torch.zeros(1, dataset.labels.num_classes, 3, 4)

    def logits(images: Tensor) -> Tensor:
        return answer

    tally_images(logits, ManyTinyImages(3, dataset.labels.num_classes), scores=scores)
    gc.collect()
    tracemalloc.start()
    tally = tally_images(logits, dataset, scores=scores)
    gc.collect()
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tally.per_image) == len(dataset)
    return current


@pytest.mark.parametrize("scores", [[], ["cross_entropy", "calibration", "object_sizes"]])
def test_a_hundred_thousand_images_would_keep_some_tens_of_megabytes(scores: list[str]) -> None:
    few, many = (kept_bytes(ManyTinyImages(count, 150), scores) for count in (100, 1100))
    # A name, two floats and the object that holds them; one 150 x 150 matrix would be 180 000.
    assert (many - few) / 1000 < 400


def test_one_image_at_a_time_is_held() -> None:
    """The peak does not grow with the number of images either."""
    dataset = ManyTinyImages(600, LABELS.num_classes)
    answer = torch.zeros(1, 2, 3, 4)
    tracemalloc.start()
    tally_images(lambda images: answer, dataset)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 600 * 400 + 3_000_000  # a histogram of 65 536 pairs, a few times over
