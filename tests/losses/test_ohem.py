import math

import numpy as np
import pytest
import torch

from dualseg.losses.ohem import ohem_cross_entropy


def with_probabilities(*of_truth: float):
    """Two classes, one row of pixels of class 0 that have these probabilities."""
    p = torch.tensor(of_truth, dtype=torch.float64)
    logits = torch.stack([p.log(), (1 - p).log()]).view(1, 2, 1, -1)
    return logits, torch.zeros(1, 1, len(of_truth), dtype=torch.long)


def mean_of(*probabilities: float) -> float:
    return -sum(math.log(p) for p in probabilities) / len(probabilities)


def test_pixels_below_the_threshold_are_kept():
    logits, target = with_probabilities(0.9, 0.6, 0.2, 0.8)
    loss = ohem_cross_entropy(logits, target, threshold=0.7, min_kept=1)
    assert loss.item() == pytest.approx(mean_of(0.6, 0.2))


def test_at_least_so_many_are_kept_the_hardest_first():
    logits, target = with_probabilities(0.9, 0.6, 0.2, 0.8)
    loss = ohem_cross_entropy(logits, target, threshold=0.7, min_kept=3)
    assert loss.item() == pytest.approx(mean_of(0.6, 0.2, 0.8))


def test_ignored_pixels_are_in_no_ranking():
    # The public code ranks ignored pixels at probability 1 and counts them, so with three to keep
    # it would take all valid ones here and a limit of 1.
    logits, target = with_probabilities(0.9, 0.01, 0.8, 0.02, 0.95)
    target[..., [1, 3]] = 255
    loss = ohem_cross_entropy(logits, target, threshold=0.5, min_kept=2)
    assert loss.item() == pytest.approx(mean_of(0.9, 0.8))


def test_more_to_keep_than_there_are_is_all_of_them():
    logits, target = with_probabilities(0.9, 0.6, 0.2)
    target[..., 0] = 255
    loss = ohem_cross_entropy(logits, target, threshold=0.1, min_kept=100_000)
    assert loss.item() == pytest.approx(mean_of(0.6, 0.2))


def test_nothing_hard_and_nothing_to_keep_is_zero():
    logits, target = with_probabilities(0.9, 0.95)
    assert ohem_cross_entropy(logits, target, threshold=0.5, min_kept=0).item() == 0.0


def test_kept_pixels_are_weighted_by_their_class_and_ranked_without():
    logits, target = with_probabilities(0.9, 0.6, 0.2)
    target[..., 0] = 1  # probability 0.1
    loss = ohem_cross_entropy(
        logits, target, threshold=0.3, min_kept=1, class_weights=torch.tensor([3.0, 0.5])
    )
    assert loss.item() == pytest.approx((0.5 * mean_of(0.1) + 3 * mean_of(0.2)) / 2)


def ranked_by_numpy(logits, target, threshold: float, min_kept: int) -> float:
    """Second implementation, from the definition: p <= max(threshold, k-th smallest p)."""
    scores = np.exp(logits - logits.max(1, keepdims=True))
    probs = scores / scores.sum(1, keepdims=True)
    valid = target != 255
    truth = np.where(valid, target, 0)[:, None]
    p = np.take_along_axis(probs, truth, axis=1)[:, 0][valid]
    limit = max(threshold, np.sort(p)[min(min_kept, len(p)) - 1])
    return float(-np.log(p[p <= limit]).mean())


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("min_kept", [1, 40, 150, 1000])
def test_it_is_what_the_definition_gives(threshold, min_kept):
    logits = 2 * torch.randn(2, 4, 9, 10, dtype=torch.float64)
    target = torch.randint(0, 4, (2, 9, 10))
    target[0, :3] = 255
    loss = ohem_cross_entropy(logits, target, threshold=threshold, min_kept=min_kept)
    expected = ranked_by_numpy(logits.numpy(), target.numpy(), threshold, min_kept)
    assert loss.item() == pytest.approx(expected, rel=1e-9)
