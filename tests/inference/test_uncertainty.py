"""How sure a network is."""

import math

import pytest
import torch

from dualseg.inference.uncertainty import confidence, entropy, image_uncertainty


def logits(*pixels: list[float]) -> torch.Tensor:
    """(1, K, 1, N) whose softmax are the given probabilities."""
    return torch.tensor(pixels).clamp_min(1e-30).log().T[None, :, None]


def test_confidence_is_the_probability_of_the_predicted_class() -> None:
    assert confidence(logits([0.7, 0.2, 0.1], [0.25, 0.5, 0.25]))[0, 0].tolist() == pytest.approx(
        [0.7, 0.5]
    )


def test_entropy_is_a_share_of_the_largest() -> None:
    given = entropy(logits([1 / 3] * 3, [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]))[0, 0].tolist()
    assert given == pytest.approx([1.0, 0.0, math.log(2) / math.log(3)], abs=1e-6)


def test_one_class_leaves_nothing_to_be_unsure_of() -> None:
    assert entropy(torch.randn(1, 1, 2, 2)).tolist() == [[[0.0, 0.0], [0.0, 0.0]]]


def test_huge_logits_stay_finite_and_in_range() -> None:
    given = entropy(torch.tensor([1e30, -1e30, 0.0]).view(1, 3, 1, 1))
    assert given.item() == 0.0


def test_image_means() -> None:
    sure, unsure = image_uncertainty(logits([0.5, 0.5], [1.0, 0.0]))
    assert (sure, unsure) == pytest.approx((0.75, 0.5), abs=1e-6)
