import math

import pytest
import torch
import torch.nn.functional as F

from dualseg.losses import slices as module
from dualseg.losses.cross_entropy import cross_entropy, pixel_cross_entropy


def test_a_2x2_map_worked_by_hand():
    # Two classes, logits (0, log 3) everywhere: p = (1/4, 3/4). Truth: 1, 0, ignored, 1.
    logits = torch.tensor([0.0, math.log(3)]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    target = torch.tensor([[[1, 0], [255, 1]]])
    expected = (2 * math.log(4 / 3) + math.log(4)) / 3
    assert torch.isclose(cross_entropy(logits, target), torch.tensor(expected))


def test_ignored_pixels_change_nothing():
    logits = torch.randn(2, 3, 4, 4)
    target = torch.randint(0, 3, (2, 4, 4))
    target[:, 0] = 255
    other = logits.clone()
    other[:, :, 0] = 1000.0
    assert torch.equal(cross_entropy(logits, target), cross_entropy(other, target))


def test_a_fully_ignored_crop_gives_zero_with_a_graph():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = cross_entropy(logits, torch.full((1, 4, 4), 255))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_parts_of_a_batch_add_up_to_the_batch():
    logits = torch.randn(4, 3, 5, 5)
    target = torch.randint(0, 3, (4, 5, 5))
    target[0] = 255
    count = int((target != 255).sum())
    parts = [cross_entropy(logits[i : i + 2], target[i : i + 2], num_valid=count) for i in (0, 2)]
    assert torch.isclose(sum(parts), cross_entropy(logits, target))


def test_bf16_logits_are_scored_in_fp32():
    logits = (torch.randn(1, 3, 16, 16) * 8).bfloat16().requires_grad_()
    target = torch.randint(0, 3, (1, 16, 16))
    loss = cross_entropy(logits, target)
    torch.testing.assert_close(loss, F.cross_entropy(logits.float(), target))
    (gradient,) = torch.autograd.grad(loss, logits)
    (expected,) = torch.autograd.grad(F.cross_entropy(logits.float(), target), logits)
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(gradient, expected, rtol=0.02, atol=1e-5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("slice_elements", [1, 100, 1 << 18])
def test_slices_give_what_torch_gives(monkeypatch, memory_format, slice_elements):
    monkeypatch.setattr(module, "CPU_SLICE_ELEMENTS", slice_elements)
    logits = torch.randn(2, 5, 9, 7).contiguous(memory_format=memory_format).requires_grad_()
    target = torch.randint(0, 5, (2, 9, 7))
    target[0, :3] = 255
    loss, expected = (
        cross_entropy(logits, target),
        F.cross_entropy(logits, target, ignore_index=255),
    )
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0])
    assert gradient.is_contiguous(memory_format=memory_format)


WEIGHTS = torch.tensor([0.5, 2.0, 0.0, 1.5, 3.0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "weighted"])
def test_weights_and_smoothing_are_torchs_summed_over_pixels(weights, smoothing):
    logits = torch.randn(2, 5, 9, 7, requires_grad=True)
    target = torch.randint(0, 5, (2, 9, 7))
    target[0, :3] = 255
    options = {"label_smoothing": smoothing, "ignore_index": 255}
    summed = F.cross_entropy(logits, target, weight=weights, reduction="sum", **options)
    expected = summed / (target != 255).sum()
    loss = cross_entropy(logits, target, class_weights=weights, label_smoothing=smoothing)
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0])


def test_torchs_weighted_mean_is_the_one_over_the_pixels_weights():
    logits, target = torch.randn(2, 5, 9, 7), torch.randint(0, 5, (2, 9, 7))
    total = float(WEIGHTS[target].sum())
    loss = cross_entropy(logits, target, class_weights=WEIGHTS, num_valid=total)
    torch.testing.assert_close(loss, F.cross_entropy(logits, target, weight=WEIGHTS))


def test_one_weight_too_few_is_refused():
    with pytest.raises(ValueError, match="class weights for 5 classes"):
        cross_entropy(torch.randn(1, 5, 2, 2), torch.zeros(1, 2, 2), class_weights=torch.ones(4))


def test_each_pixels_loss_is_torchs_and_has_a_gradient_of_its_own():
    logits = torch.randn(2, 5, 4, 3, requires_grad=True)
    target = torch.randint(0, 5, (2, 4, 3))
    target[1, 0] = 255
    upstream = torch.randn(2, 4, 3)
    each = pixel_cross_entropy(logits, target)
    expected = F.cross_entropy(logits, target, ignore_index=255, reduction="none")
    torch.testing.assert_close(each, expected)
    (gradient,) = torch.autograd.grad(each, logits, upstream)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits, upstream)[0])


def test_a_factor_on_each_pixel_of_bf16_logits_is_not_rounded_to_bf16():
    logits = torch.randn(1, 3, 32, 32).bfloat16().requires_grad_()
    target = torch.randint(0, 3, (1, 32, 32))
    factor = torch.full((1, 32, 32), 0.7)
    (gradient,) = torch.autograd.grad(pixel_cross_entropy(logits, target), logits, factor)
    (plain,) = torch.autograd.grad(pixel_cross_entropy(logits, target).sum(), logits)
    ratio = (gradient.double().abs().sum() / plain.double().abs().sum()).item()
    assert ratio == pytest.approx(0.7, rel=3e-4)  # bf16(0.7) is 0.69921875, off by 1.1e-3
