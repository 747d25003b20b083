"""Which numbers a network can be given."""

import pytest
import torch

from dualseg.core.finite import NOT_FINITE, TOO_LARGE, num_unusable, number_fault


@pytest.mark.parametrize(
    ("value", "dtype", "fault"),
    [
        (1e30, torch.float64, None),
        (1e300, torch.float64, TOO_LARGE),
        (float("inf"), torch.float64, NOT_FINITE),
        (float("nan"), torch.bfloat16, NOT_FINITE),
        (3e38, torch.float32, None),
        (7, torch.int64, None),
    ],
)
def test_the_fault_of_one_number_is_that_of_the_tensor(value, dtype, fault):
    tensor = torch.tensor([1, value, 1], dtype=dtype)
    assert number_fault(tensor) == fault


def test_the_numbers_at_fault_are_counted():
    assert num_unusable(torch.tensor([1e300, -1e300, 0.5], dtype=torch.float64)) == 2
