import math

import pytest
import torch

from dualseg.losses.reconstruction import reconstruction_loss


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("l2", (9 + 0 + 1 + 0) / 4),
        ("l1", (3 + 0 + 1 + 0) / 4),
        ("charbonnier", (math.sqrt(9 + 1e-6) + math.sqrt(1 + 1e-6) + 2e-3) / 4),
    ],
)
def test_four_differences_worked_by_hand(kind, expected):
    image_sr = torch.tensor([[3.0, 5.0], [1.0, 2.0]]).view(1, 1, 2, 2)
    image = torch.tensor([[0.0, 5.0], [2.0, 2.0]]).view(1, 1, 2, 2)
    assert reconstruction_loss(image_sr, image, kind=kind).item() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["l2", "l1", "charbonnier"])
def test_no_difference_has_a_finite_gradient_and_bf16_is_measured_in_fp32(kind):
    image_sr = torch.ones(1, 3, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    loss = reconstruction_loss(image_sr, torch.ones(1, 3, 4, 4), kind=kind)
    loss.backward()
    assert loss.dtype == torch.float32
    assert image_sr.grad is not None
    assert torch.isfinite(image_sr.grad).all()
