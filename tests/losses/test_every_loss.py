import pytest
import torch
from every_loss import ADD_UP, EVERY_LOSS, WEIGHED_BY_PIXELS
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dualseg.losses import feature_affinity, lovasz, slices
from dualseg.losses.bootstrapped import bootstrapped_cross_entropy
from dualseg.losses.cross_entropy import cross_entropy
from dualseg.losses.focal import focal_loss
from dualseg.losses.lovasz import lovasz_softmax
from dualseg.losses.ohem import ohem_cross_entropy

every_loss = pytest.mark.parametrize("name", EVERY_LOSS)


def a_batch(seed: int = 0, *, num_classes: int = 4, size=(2, 5, 6), ignored: float = 0.3):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(size[0], num_classes, *size[1:], generator=generator)
    target = torch.randint(0, num_classes, size, generator=generator)
    target[torch.rand(size, generator=generator) < ignored] = 255
    return logits, target


def value_and_gradient(loss, logits, target):
    logits = logits.clone().requires_grad_()
    value = loss(logits, target)
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient


@every_loss
@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**31 - 1),
    num_classes=st.integers(2, 6),
    ignored=st.floats(0.0, 1.0),
    noise=st.floats(-60.0, 60.0),
)
def test_ignored_pixels_change_neither_value_nor_gradient(name, seed, num_classes, ignored, noise):
    logits, target = a_batch(seed, num_classes=num_classes, ignored=ignored)
    other = logits.clone()
    other += noise * torch.randn_like(other) * (target == 255)[:, None]
    value, gradient = value_and_gradient(EVERY_LOSS[name], logits, target)
    same_value, same_gradient = value_and_gradient(EVERY_LOSS[name], other, target)
    assert torch.equal(value, same_value)
    assert torch.equal(gradient, same_gradient)
    assert not gradient.movedim(1, -1)[target == 255].any()
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


@every_loss
def test_a_fully_ignored_batch_gives_zero_with_a_zero_gradient(name):
    logits, target = a_batch()
    value, gradient = value_and_gradient(EVERY_LOSS[name], logits, torch.full_like(target, 255))
    assert value.item() == 0.0
    assert not gradient.any()


@pytest.mark.parametrize("name", ADD_UP + WEIGHED_BY_PIXELS)
def test_one_fully_ignored_image_leaves_the_gradient_of_the_other_alone(name):
    logits, target = a_batch(3)
    target[1] = 255
    value, gradient = value_and_gradient(EVERY_LOSS[name], logits, target)
    alone, of_one = value_and_gradient(EVERY_LOSS[name], logits[:1], target[:1])
    torch.testing.assert_close(value, alone)
    torch.testing.assert_close(gradient[:1], of_one)


@every_loss
@pytest.mark.parametrize("num_classes", [2, 150])
def test_any_number_of_classes_of_which_few_are_there(name, num_classes):
    logits, target = a_batch(5, num_classes=num_classes)
    target[target != 255] = num_classes - 1
    value, gradient = value_and_gradient(EVERY_LOSS[name], logits, target)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()
    assert gradient.any()


@every_loss
@pytest.mark.parametrize("truth", [0, 3])
def test_extreme_logits_stay_finite(name, truth):
    logits, target = a_batch(7)
    logits = logits.sign() * 1e4
    target[target != 255] = truth
    value, gradient = value_and_gradient(EVERY_LOSS[name], logits, target)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


@every_loss
def test_bf16_logits_are_scored_in_fp32(name):
    logits, target = a_batch(11, size=(2, 12, 9))
    half = logits.bfloat16()
    value, gradient = value_and_gradient(EVERY_LOSS[name], half, target)
    expected, wanted = value_and_gradient(EVERY_LOSS[name], half.float(), target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected)
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(gradient.float(), wanted, rtol=0.02, atol=1e-4 * wanted.abs().max())


@every_loss
def test_the_gradient_is_the_slope_in_fp64(name):
    logits, target = a_batch(13, num_classes=3, size=(2, 3, 4))
    logits = logits.double().requires_grad_()
    assert gradcheck(lambda x: EVERY_LOSS[name](x, target), (logits,))


@every_loss
@pytest.mark.parametrize("elements", [1, 30])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_slices_change_nothing(monkeypatch, name, elements, memory_format):
    logits, target = a_batch(17)
    value, gradient = value_and_gradient(EVERY_LOSS[name], logits, target)
    monkeypatch.setattr(slices, "CPU_SLICE_ELEMENTS", elements)
    logits = logits.contiguous(memory_format=memory_format)
    other_value, other = value_and_gradient(EVERY_LOSS[name], logits, target)
    torch.testing.assert_close(other_value, value)
    torch.testing.assert_close(other, gradient)


@pytest.mark.parametrize("name", ADD_UP)
def test_the_parts_of_a_batch_add_up_to_the_batch(name):
    logits, target = a_batch(19, size=(4, 5, 6))
    target[0, :4] = 255
    count = int((target != 255).sum())
    loss = EVERY_LOSS[name]
    parts = [loss(logits[i : i + 2], target[i : i + 2], num_valid=count) for i in (0, 2)]
    torch.testing.assert_close(sum(parts), loss(logits, target))


@pytest.mark.parametrize("name", WEIGHED_BY_PIXELS)
def test_other_losses_are_means_of_parts_weighted_by_valid_pixels(name):
    logits, target = a_batch(23, size=(4, 5, 6))
    target[0, :4] = 255
    counts = [int((target[i : i + 2] != 255).sum()) for i in (0, 2)]
    loss = EVERY_LOSS[name]
    for number, start in enumerate((0, 2)):
        part = logits[start : start + 2], target[start : start + 2]
        weighed = loss(*part, num_valid=sum(counts))
        torch.testing.assert_close(weighed, loss(*part) * counts[number] / sum(counts))


def test_images_add_up_where_each_has_a_lovasz_loss_of_its_own():
    logits, target = a_batch(29, size=(4, 5, 6))
    target[0] = 255
    parts = [
        lovasz_softmax(logits[i : i + 2], target[i : i + 2], per_image=True, num_images=4)
        for i in (0, 2)
    ]
    torch.testing.assert_close(sum(parts), lovasz_softmax(logits, target, per_image=True))


@every_loss
def test_a_perfect_prediction_costs_almost_nothing_and_a_wrong_one_more(name):
    target = torch.zeros(1, 6, 6, dtype=torch.long)
    target[:, 2:5, 1:4] = 1
    if name == "distillation":
        target[:] = 0  # what its teacher says
    right = 20.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float()
    wrong = right.roll(1, dims=1)
    loss = EVERY_LOSS[name]
    assert loss(right, target) < loss(wrong, target)
    if name not in ("weighted and smoothed", "boundary", "distillation"):
        assert loss(right, target).item() == pytest.approx(0.0, abs=1e-5)


@every_loss
def test_fp16_logits_have_their_gradient_when_the_loss_is_scaled(name):
    # A large map, so that the slope of one pixel is far below what fp16 can hold unscaled.
    logits, target = a_batch(31, num_classes=3, size=(1, 400, 400))
    half = logits.half().requires_grad_()
    scale = 2.0**16
    (gradient,) = torch.autograd.grad(scale * EVERY_LOSS[name](half, target), half)
    _, wanted = value_and_gradient(EVERY_LOSS[name], half.detach().float(), target)
    assert gradient.dtype == torch.float16
    difference = (gradient.float() / scale - wanted).norm() / wanted.norm()
    assert difference < 2e-3


class NoDoubles(TorchDispatchMode):
    """A device that has no fp64, such as Apple's."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float64:
                raise TypeError(f"{function} gives fp64")
        return result


@pytest.fixture
def no_doubles(monkeypatch):
    apple = slices.sum_type(torch.device("mps"))
    for module in (lovasz, feature_affinity):
        monkeypatch.setattr(module, "sum_type", lambda _: apple)
    return NoDoubles()


@every_loss
def test_a_device_without_fp64_gives_the_same(name, no_doubles):
    logits, target = a_batch(5)
    expected = value_and_gradient(EVERY_LOSS[name], logits, target)
    with no_doubles:
        found = value_and_gradient(EVERY_LOSS[name], logits, target)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_the_affinity_too_is_the_same_there(distance, no_doubles):
    first, second = torch.randn(2, 2, 4, 5, 6).unbind()
    expected = feature_affinity.feature_affinity_loss(first, second, distance=distance)
    with no_doubles:
        found = feature_affinity.feature_affinity_loss(first, second, distance=distance)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "loss", [cross_entropy, bootstrapped_cross_entropy, focal_loss, ohem_cross_entropy]
)
def test_weighted_losses_take_one_weight_a_class_and_ids_of_any_type(loss):
    logits, ids = torch.randn(1, 3, 2, 2), torch.tensor([[[0, 1], [255, 2]]])
    weights = torch.tensor([1.0, 2.0, 3.0])
    expected = loss(logits, ids, class_weights=weights)
    assert loss(logits, ids.to(torch.uint8), class_weights=weights) == expected
    for number in (2, 5):
        with pytest.raises(ValueError, match="class weights for 3 classes"):
            loss(logits, ids, class_weights=torch.ones(number))
