import numpy as np
import pytest
import torch

from dualseg.losses.lovasz import _falling_order, lovasz_softmax


def jaccard_loss(wrong: frozenset[int], truth: frozenset[int]) -> float:
    """1 - IoU of the class after the pixels in `wrong` have changed sides."""
    return len(wrong) / len(truth | wrong) if wrong else 0.0


def extension(errors: np.ndarray, truth: frozenset[int]) -> float:
    """Lovász extension from its definition: add the pixels one after another, largest error
    first, and weigh each error by what its pixel adds to the loss of the set."""
    total, wrong = 0.0, frozenset[int]()
    for pixel in np.argsort(-errors, kind="stable").tolist():
        joined = wrong | {pixel}
        total += errors[pixel] * (jaccard_loss(joined, truth) - jaccard_loss(wrong, truth))
        wrong = joined
    return total


def by_definition(logits, target, *, classes: str = "present") -> float:
    scores = np.exp(logits - logits.max(1, keepdims=True))
    probs = np.moveaxis(scores / scores.sum(1, keepdims=True), 1, -1)
    valid = target != 255
    probs, truth = probs[valid], target[valid]
    losses = []
    for k in range(probs.shape[1]):
        belongs = truth == k
        if classes == "present" and not belongs.any():
            continue
        errors = np.where(belongs, 1 - probs[:, k], probs[:, k])
        losses.append(extension(errors, frozenset(np.flatnonzero(belongs).tolist())))
    return float(np.mean(losses))


def a_batch():
    logits = torch.randn(2, 4, 4, 5, dtype=torch.float64)
    target = torch.randint(0, 3, (2, 4, 5))  # class 3 is absent
    target[0, 0] = 255
    return logits, target


def test_two_pixels_worked_by_hand():
    # Truth 0, 1. p(0) = 3/4 and 1/2. Class 0: errors 1/4 (its own pixel) and 1/2 (the other).
    # Largest first: the other joins: loss of the set 1/2, growth 1/2; then its own: 1, growth 1/2.
    # Class 0: 1/2 * 1/2 + 1/4 * 1/2 = 3/8. Class 1: errors 1/4 (other) and 1/2 (own, first):
    # growth 1, then 0: 1/2. Mean 7/16.
    p = torch.tensor([[0.75, 0.5], [0.25, 0.5]])
    loss = lovasz_softmax(p.log().view(1, 2, 1, 2), torch.tensor([[[0, 1]]]))
    assert loss.item() == pytest.approx(7 / 16)


@pytest.mark.parametrize("classes", ["present", "all"])
@pytest.mark.parametrize(("dtype", "rel"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_it_is_what_the_definition_gives(classes, dtype, rel):
    logits, target = a_batch()
    expected = by_definition(logits.numpy(), target.numpy(), classes=classes)
    loss = lovasz_softmax(logits.to(dtype), target, classes=classes)
    assert loss.item() == pytest.approx(expected, rel=rel)


def test_whole_numbers_are_sorted_as_the_errors_they_stand_for():
    errors = torch.cat([torch.rand(500) ** 8, torch.tensor([0.0, 1.0, 1e-38, 1e-45, 0.0, -1.0])])
    errors = errors[torch.randint(0, len(errors), (3000,))]  # many equals
    wanted = errors.argsort(descending=True, stable=True)
    assert torch.equal(_falling_order(errors), wanted)


def test_of_hard_predictions_it_is_one_minus_the_mean_iou():
    target = torch.randint(0, 3, (1, 8, 8))
    preds = torch.randint(0, 3, (1, 8, 8))
    logits = 100.0 * torch.nn.functional.one_hot(preds, 3).movedim(-1, 1).double()
    ious = [
        ((preds == k) & (target == k)).sum() / ((preds == k) | (target == k)).sum()
        for k in range(3)
    ]
    assert lovasz_softmax(logits, target).item() == pytest.approx(1 - float(sum(ious)) / 3)


def test_per_image_is_the_mean_over_images_and_an_ignored_one_counts_as_zero():
    logits, target = a_batch()
    one, two = (by_definition(logits[i : i + 1].numpy(), target[i : i + 1].numpy()) for i in (0, 1))
    assert lovasz_softmax(logits, target, per_image=True).item() == pytest.approx((one + two) / 2)
    target[1] = 255
    assert lovasz_softmax(logits, target, per_image=True).item() == pytest.approx(one / 2)
