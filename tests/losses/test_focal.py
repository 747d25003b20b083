import math

import pytest
import torch

from dualseg.losses.focal import focal_loss


def test_a_2x2_map_worked_by_hand():
    # p = (1/4, 3/4) everywhere; truth 1, 0, ignored, 1; gamma 2.
    logits = torch.tensor([0.0, math.log(3)]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    target = torch.tensor([[[1, 0], [255, 1]]])
    expected = (2 * (1 / 16) * math.log(4 / 3) + (9 / 16) * math.log(4)) / 3
    assert focal_loss(logits, target, gamma=2.0).item() == pytest.approx(expected)


def test_it_is_not_the_focal_of_the_mean():
    # p = 0.9 and 0.1. One public port computes (1 - exp(-mean))^2 * mean = 0.590.
    p = torch.tensor([0.9, 0.1])
    logits = torch.stack([p.log(), (1 - p).log()]).view(1, 2, 1, 2)
    loss = focal_loss(logits, torch.zeros(1, 1, 2, dtype=torch.long))
    assert loss.item() == pytest.approx(-(0.01 * math.log(0.9) + 0.81 * math.log(0.1)) / 2)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_autograd_through_softmax_gives_the_same(gamma):
    logits = torch.randn(2, 4, 6, 5, requires_grad=True)
    target = torch.randint(0, 4, (2, 6, 5))
    log_p = logits.log_softmax(1).gather(1, target[:, None])[:, 0]
    expected = (-((1 - log_p.exp()) ** gamma) * log_p).mean()
    loss = focal_loss(logits, target, gamma=gamma)
    torch.testing.assert_close(loss, expected)
    wanted = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(torch.autograd.grad(loss, logits), wanted)


def test_class_weights_are_the_papers_alpha():
    logits, target = torch.randn(1, 2, 3, 3), torch.ones(1, 3, 3, dtype=torch.long)
    weighted = focal_loss(logits, target, class_weights=torch.tensor([9.0, 0.25]))
    torch.testing.assert_close(weighted, 0.25 * focal_loss(logits, target))
