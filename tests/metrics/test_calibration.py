"""Whether probabilities mean what they say, by hand."""

import pytest
import torch
from answers import answer, names, random_answer

from dualseg.metrics.calibration import Calibration


def test_hand_worked_error_and_bins() -> None:
    # Four pixels at confidence 0.75, two of them right; two at 0.55, none right; one ignored.
    probs = torch.tensor([0.75, 0.75, 0.75, 0.75, 0.55, 0.55, 0.99])
    logits = torch.stack([probs.log(), (1 - probs).log()])[None, :, None]
    target = [[0, 0, 1, 1, 1, 1, 255]]
    calibration = Calibration(num_bins=10)
    calibration.add(answer(target, [[0] * 7], 2, logits=logits))
    result = calibration.result(names(2))["calibration"]
    assert result["ece"] == pytest.approx(4 / 6 * (0.75 - 0.5) + 2 / 6 * 0.55, abs=1e-5)
    assert [b["pixels"] for b in result["bins"]] == [0, 0, 0, 0, 0, 2, 0, 4, 0, 0]
    assert result["bins"][7] == pytest.approx(
        {"from": 0.7, "to": 0.8, "pixels": 4, "accuracy": 0.5, "confidence": 0.75}, abs=1e-5
    )
    assert result["bins"][0]["accuracy"] is None


def test_a_confidence_on_an_edge_is_in_the_bin_below() -> None:
    calibration = Calibration(num_bins=4)
    calibration.add(answer([[0]], [[0]], 2, logits=torch.zeros(1, 2, 1, 1)))  # 0.5 exactly
    result = calibration.result(names(2))["calibration"]
    assert [b["pixels"] for b in result["bins"]] == [0, 1, 0, 0]


def test_a_sure_and_right_answer_has_no_error() -> None:
    logits = torch.tensor([50.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3)
    calibration = Calibration()
    calibration.add(answer([[0] * 3] * 3, [[0] * 3] * 3, 2, logits=logits))
    result = calibration.result(names(2))["calibration"]
    assert result["ece"] == 0.0
    assert result["bins"][-1]["pixels"] == 9


def test_nothing_counted_is_null() -> None:
    calibration = Calibration()
    calibration.add(answer([[255]], [[0]], 2))
    assert calibration.result(names(2))["calibration"]["ece"] is None


def test_shares_add_up_to_the_last_digit() -> None:
    alone, first, second = Calibration(), Calibration(), Calibration()
    for seed in range(6):
        alone.add(random_answer(seed, 4))
        (first if seed % 2 else second).add(random_answer(seed, 4))
    first.merge(second)
    assert first.result(names(4)) == alone.result(names(4))
