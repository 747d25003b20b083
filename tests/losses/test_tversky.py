import pytest
import torch
import torch.nn.functional as F

from dualseg.losses.tversky import dice_loss, tversky_loss


def by_autograd(logits, target, alpha, beta):
    """Second implementation: whole tensors, torch's own gradients."""
    valid = (target != 255)[:, None]
    truth = F.one_hot(target.where(valid[:, 0], 0), logits.shape[1]).movedim(-1, 1) * valid
    probs = logits.softmax(1) * valid
    hits = (probs * truth).sum((0, 2, 3))
    false_positives = (probs * (1 - truth) * valid).sum((0, 2, 3))
    misses = ((1 - probs) * truth).sum((0, 2, 3))
    losses = 1 - hits / (hits + alpha * false_positives + beta * misses)
    return losses[truth.sum((0, 2, 3)) > 0].mean()


def test_a_2x2_map_worked_by_hand():
    # p(1) = 3/4 everywhere; truth 1, 0, ignored, 1.
    # Class 0: TP 1/4, FP 2/4, FN 3/4. Class 1: TP 6/4, FP 3/4, FN 2/4.
    logits = torch.tensor([0.25, 0.75]).log().view(1, 2, 1, 1).expand(1, 2, 2, 2)
    target = torch.tensor([[[1, 0], [255, 1]]])
    dice = 1 - (0.5 / (0.5 + 1.25) + 3.0 / (3.0 + 1.25)) / 2
    assert dice_loss(logits, target).item() == pytest.approx(dice)
    one_sided = 1 - (0.25 / (0.25 + 0.5) + 1.5 / (1.5 + 0.75)) / 2
    loss = tversky_loss(logits, target, alpha=1.0, beta=0.0)
    assert loss.item() == pytest.approx(one_sided)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.7), (1.0, 1.0)])
def test_autograd_over_whole_tensors_gives_the_same(alpha, beta):
    logits = torch.randn(2, 5, 7, 6, requires_grad=True)
    target = torch.randint(0, 4, (2, 7, 6))  # class 4 is absent
    target[0, :2] = 255
    loss = tversky_loss(logits, target, alpha=alpha, beta=beta)
    expected = by_autograd(logits, target, alpha, beta)
    torch.testing.assert_close(loss, expected)
    wanted = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(torch.autograd.grad(loss, logits), wanted)


def test_an_absent_class_is_no_term_of_the_mean():
    target = torch.zeros(1, 4, 4, dtype=torch.long)
    target[:, :2] = 1
    certain = 50.0 * F.one_hot(target, 2).movedim(-1, 1).float()
    with_absent = F.pad(certain, (0, 0, 0, 0, 0, 3))
    assert dice_loss(with_absent, target).item() == pytest.approx(0.0, abs=1e-6)
