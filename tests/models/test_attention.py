import pytest
import torch
from largest_tensor import LargestTensor
from torch import nn

from dualseg.models import attention
from dualseg.models.attention import attend, fused, in_blocks, positions


def naive(query, key, value, scale):
    return torch.softmax(scale * query @ key.mT, dim=-1) @ value


def random_inputs(*, batch=2, queries=35, keys=29, width=6, channels=10, dtype=torch.float64):
    return [
        torch.randn(shape, dtype=dtype, requires_grad=True)
        for shape in ((batch, queries, width), (batch, keys, width), (batch, keys, channels))
    ]


def results_and_gradients(function, inputs, upstream):
    for tensor in inputs:
        tensor.grad = None
    result = function(*inputs)
    result.backward(upstream)
    return [result.detach(), *(tensor.grad for tensor in inputs)]


def test_by_hand():
    # One query (ln 3), keys 0 and 1: weights 1/4 and 3/4 of the values 8 and 4.
    query, key = torch.tensor([[[3.0]]]).log(), torch.tensor([[[0.0], [1.0]]])
    value = torch.tensor([[[8.0, 0.0], [4.0, 1.0]]])
    torch.testing.assert_close(attend(query, key, value, scale=1.0), torch.tensor([[[5.0, 0.75]]]))


@pytest.mark.parametrize("scale", [1.0, 0.3])
@pytest.mark.parametrize("block", [1, 64, 29 * 35, 2 * 29 * 35, 2**22])
def test_blocks_equal_the_naive_product(block, scale, monkeypatch):
    # Less than a row, two rows, one image, all of them.
    monkeypatch.setattr(attention, "BLOCK", block)
    inputs = random_inputs(batch=3)
    upstream = torch.randn(3, 35, 10, dtype=torch.float64)
    ours = results_and_gradients(lambda *x: in_blocks(*x, scale=scale), inputs, upstream)
    expected = results_and_gradients(lambda *x: naive(*x, scale), inputs, upstream)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(("width", "channels"), [(6, 10), (10, 6), (8, 8)])
def test_the_fused_kernel_equals_the_naive_product(width, channels):
    inputs = random_inputs(width=width, channels=channels)
    upstream = torch.randn(2, 35, channels, dtype=torch.float64)
    ours = results_and_gradients(lambda *x: fused(*x, scale=0.3), inputs, upstream)
    expected = results_and_gradients(lambda *x: naive(*x, 0.3), inputs, upstream)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("way", [in_blocks, fused])
def test_large_scores_do_not_overflow(way):
    query, key, value = random_inputs(dtype=torch.float32)
    attended = way(100 * query, 100 * key, value, scale=1.0)
    nearest = (query @ key.mT).argmax(dim=-1)  # scores lie thousands apart
    expected = value.gather(1, nearest.unsqueeze(-1).expand(-1, -1, 10))
    assert attended.isfinite().all()
    assert ((attended - expected).abs().amax(-1) < 1e-3).float().mean() > 0.9


@pytest.mark.parametrize("way", [in_blocks, fused])
def test_bf16_keeps_scores_in_fp32(way):
    # Scores of some dozens: rounded to bf16 they would be off by up to 0.25 and weights by 28 %.
    inputs = random_inputs(queries=200, keys=200, width=64, channels=128, dtype=torch.float32)
    rounded = [tensor.detach().bfloat16().requires_grad_() for tensor in inputs]
    exact = [tensor.detach().float().requires_grad_() for tensor in rounded]
    upstream = torch.randn(2, 200, 128).bfloat16()
    ours = results_and_gradients(lambda *x: way(*x, scale=3.0), rounded, upstream)
    expected = results_and_gradients(lambda *x: naive(*x, 3.0), exact, upstream.float())
    assert {tensor.dtype for tensor in ours} == {torch.bfloat16}
    errors = [
        float((tensor.float() - reference).norm() / reference.norm())
        for tensor, reference in zip(ours, expected, strict=True)
    ]
    assert errors[0] < 0.005  # 0.02 by the naive product in bf16
    assert max(errors[1:]) < 0.03  # 0.06


@pytest.mark.parametrize("way", [in_blocks, fused])
def test_autocast_does_not_round_fp32_inputs(way):
    inputs = random_inputs(dtype=torch.float32)
    upstream = torch.randn(2, 35, 10)
    expected = results_and_gradients(lambda *x: naive(*x, 1.0), inputs, upstream)
    with torch.autocast("cpu", torch.bfloat16):
        ours = results_and_gradients(lambda *x: way(*x, scale=1.0), inputs, upstream)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("way", [in_blocks, fused])
def test_no_tensor_of_all_pairs_is_made(way, monkeypatch):
    monkeypatch.setattr(attention, "BLOCK", 2**12)
    maps = [torch.randn(1, width, 32, 32, requires_grad=True) for width in (4, 4, 8)]
    query, key, value = (positions(m) for m in maps)  # channels far apart in memory
    with LargestTensor() as largest:
        way(query, key, value, scale=1.0).sum().backward()
    assert largest.numel <= 2**13  # of 2^20 pairs; query, key and value widened have 2^13


@pytest.mark.parametrize(("channels", "name"), [(6, "fused"), (10, "in_blocks")])
def test_blocks_are_for_values_wider_than_queries(channels, name, monkeypatch):
    inputs = random_inputs(channels=channels)
    monkeypatch.setattr(attention, name, lambda *x, scale: name)
    assert attend(*inputs, scale=1.0) == name


def test_it_can_be_exported():
    class Module(nn.Module):
        def forward(self, query, key, value):
            return attend(query, key, value, scale=0.5)

    inputs = tuple(tensor.detach() for tensor in random_inputs(dtype=torch.float32))
    exported = torch.export.export(Module(), inputs)
    assert "scaled_dot_product_attention" in str(exported.graph)
    torch.testing.assert_close(exported.module()(*inputs), naive(*inputs, 0.5))
