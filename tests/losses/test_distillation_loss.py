import math

import pytest
import torch
import torch.nn.functional as F

from dualseg.losses.distillation import distillation_loss


def test_two_pixels_worked_by_hand():
    # Teacher (1/4, 3/4), student (1/2, 1/2): KL = 1/4 log 1/2 + 3/4 log 3/2. One pixel is ignored.
    teacher = torch.tensor([0.25, 0.75]).log().view(1, 2, 1, 1).expand(1, 2, 1, 2)
    target = torch.tensor([[[0, 255]]])
    loss = distillation_loss(torch.zeros(1, 2, 1, 2), teacher, target)
    assert loss.item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("teacher_type", [torch.float32, torch.bfloat16])
def test_it_is_torchs_divergence_times_the_squared_temperature(temperature, teacher_type):
    logits = torch.randn(2, 5, 6, 7, requires_grad=True)
    teacher = torch.randn(2, 5, 6, 7).to(teacher_type)
    target = torch.randint(0, 5, (2, 6, 7))
    target[1, 2:4] = 255
    each = F.kl_div(
        (logits / temperature).log_softmax(1),
        (teacher.float() / temperature).log_softmax(1),
        log_target=True,
        reduction="none",
    ).sum(1)
    expected = temperature**2 * each[target != 255].mean()
    loss = distillation_loss(logits, teacher, target, temperature=temperature)
    torch.testing.assert_close(loss, expected)
    wanted = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(torch.autograd.grad(loss, logits), wanted)


def test_who_says_what_the_teacher_says_has_no_loss():
    logits = torch.randn(1, 3, 4, 4)
    shifted = logits + torch.randn(1, 1, 4, 4)  # the same probabilities
    loss = distillation_loss(logits, shifted, torch.zeros(1, 4, 4))
    assert loss.item() == pytest.approx(0.0, abs=1e-6)


def test_the_teacher_gets_no_gradient():
    teacher = torch.randn(1, 3, 2, 2, requires_grad=True)
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    distillation_loss(logits, teacher, torch.zeros(1, 2, 2)).backward()
    assert teacher.grad is None
    assert logits.grad is not None


def test_logits_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="must agree"):
        distillation_loss(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 4), torch.zeros(1, 2, 2))
