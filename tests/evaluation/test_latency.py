"""Time and size of a network."""

import pytest
import torch
from evaluation_fakes import Threshold
from torch import Tensor, nn

from dualseg.core.outputs import SegmentationOutput
from dualseg.evaluation.latency import count_parameters, measure_latency


def test_latency_is_a_positive_time_and_the_mode_is_kept() -> None:
    model = Threshold().train()
    assert measure_latency(model, (8, 12), repeats=3) > 0
    assert model.training


def test_median_is_taken_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # Start and end of 3 warm-up runs (1 s each) and 3 measured ones: 5, 1 and 2 ms.
    lengths = [1, 1, 1, 0.005, 0.001, 0.002]
    clock = iter([time for length in lengths for time in (0.0, length)])
    monkeypatch.setattr("dualseg.evaluation.latency.time.perf_counter", lambda: next(clock))
    assert measure_latency(Threshold(), (4, 4), repeats=3) == pytest.approx(2.0)


def test_random_numbers_are_left_alone() -> None:
    before = torch.get_rng_state()
    measure_latency(Threshold(), (4, 4), repeats=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_network_is_measured_in_the_predictors_memory_layout() -> None:
    class Layout(Threshold):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 2, 3)
            self.channels_last: set[bool] = set()

        def forward(self, images: Tensor) -> SegmentationOutput:
            weight = self.convolution.weight
            self.channels_last.add(weight.is_contiguous(memory_format=torch.channels_last))
            return super().forward(images)

    model = Layout()
    measure_latency(model, (4, 4), repeats=1)
    assert model.channels_last == {True}


def test_at_least_one_run() -> None:
    with pytest.raises(ValueError, match="repeats is 0"):
        measure_latency(Threshold(), (4, 4), repeats=0)


def test_parameters_are_counted() -> None:
    assert count_parameters(nn.Conv2d(3, 4, 3)) == 3 * 4 * 9 + 4
