import math

import pytest
import torch
import torch.nn.functional as F

from dualseg.losses.bootstrapped import bootstrapped_cross_entropy


def test_the_worst_half_of_four_valid_pixels_by_hand():
    p = torch.tensor([0.9, 0.6, 0.2, 0.8, 0.01])
    logits = torch.stack([p.log(), (1 - p).log()]).view(1, 2, 1, 5)
    target = torch.tensor([[[0, 0, 0, 0, 255]]])
    loss = bootstrapped_cross_entropy(logits, target, kept_share=0.5)
    assert loss.item() == pytest.approx(-(math.log(0.2) + math.log(0.6)) / 2)


def test_all_pixels_give_cross_entropy():
    logits, target = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    loss = bootstrapped_cross_entropy(logits, target, kept_share=1.0)
    torch.testing.assert_close(loss, F.cross_entropy(logits, target))


def test_weighted_losses_are_ranked():
    p = torch.tensor([0.9, 0.2])
    logits = torch.stack([p.log(), (1 - p).log()]).view(1, 2, 1, 2)
    target = torch.tensor([[[0, 1]]])  # -log 0.9 = 0.105 weighs 10, -log 0.8 = 0.223 weighs 1
    loss = bootstrapped_cross_entropy(
        logits, target, kept_share=0.5, class_weights=torch.tensor([10.0, 1.0])
    )
    assert loss.item() == pytest.approx(-10 * math.log(0.9), rel=1e-5)
