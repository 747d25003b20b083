"""Cross-entropy over a data set."""

import math

import pytest
import torch
import torch.nn.functional as F
from answers import answer, names, random_answer

from dualseg.metrics.likelihood import CrossEntropy


def test_hand_worked_mean_over_valid_pixels() -> None:
    # Probability of the truth: 1/2 and 1/4; the third pixel is ignored.
    probs = torch.tensor([[0.5, 0.75, 0.9], [0.5, 0.25, 0.1]])
    score = CrossEntropy()
    score.add(answer([[0, 1, 255]], [[0, 0, 0]], 2, logits=probs.log()[None, :, None]))
    assert score.result(names(2))["cross_entropy"] == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_equals_torch_over_all_pixels_of_all_images() -> None:
    score = CrossEntropy()
    images = [random_answer(seed, 5, (9 + seed, 12)) for seed in range(3)]
    for image in images:
        score.add(image)
    logits = torch.cat([image.logits.flatten(2) for image in images], dim=2)
    target = torch.cat([torch.from_numpy(image.target).flatten() for image in images]).long()
    expected = F.cross_entropy(logits.double(), target[None], ignore_index=255)
    assert score.result(names(5))["cross_entropy"] == pytest.approx(float(expected), abs=1e-6)


def test_shares_add_up_to_the_last_digit() -> None:
    alone, shares = CrossEntropy(), [CrossEntropy() for _ in range(3)]
    for seed in range(7):
        alone.add(random_answer(seed, 4))
        shares[seed % 3].add(random_answer(seed, 4))
    shares[2].merge(shares[0])
    shares[2].merge(shares[1])
    assert shares[2].result(names(4)) == alone.result(names(4))


def test_nothing_counted_is_null() -> None:
    assert CrossEntropy().result(())["cross_entropy"] is None
