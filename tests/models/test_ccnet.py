import pytest
import torch
from functional_layers import (
    Weights,
    info,
    parameters_without_gradient,
    random_features,
    with_random_norms,
)
from largest_tensor import LargestTensor

from dualseg.core.errors import InputError
from dualseg.models.heads.ccnet import CCNetHead, CrissCrossAttention, attend_criss_cross

FEATURES = info((16, 4), (64, 8))


def dense(maps, weights, key):
    """All pairs, -inf for those that share neither row nor column; every position counts once."""
    height, width = maps.shape[-2:]
    query, keys, values = (
        weights.conv(f"{key}.{name}", maps, size=1).flatten(2) for name in ("query", "key", "value")
    )
    row = torch.arange(height).repeat_interleave(width)
    column = torch.arange(width).repeat(height)
    is_reached = (row[:, None] == row) | (column[:, None] == column)
    assert (is_reached.sum(dim=1) == height + width - 1).all()
    scores = (query.mT @ keys).masked_fill(~is_reached, float("-inf"))
    attended = values @ torch.softmax(scores, dim=2).mT
    return maps + weights.tensors[f"{key}.gamma"] * attended.view_as(maps)


@pytest.mark.parametrize("size", [(9, 13), (13, 9), (1, 6), (6, 1), (1, 1)])
def test_criss_cross_is_dense_attention_masked_to_row_and_column(size):
    attention = CrissCrossAttention(16)
    attention.gamma.data.fill_(0.7)
    maps = torch.randn(2, 16, *size)
    weights = {f"attention.{key}": tensor for key, tensor in attention.state_dict().items()}
    reference = Weights(attention)
    reference.tensors = weights
    torch.testing.assert_close(attention(maps), dense(maps, reference, "attention"))


@pytest.mark.parametrize("recurrence", [1, 2, 3])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_one_attention_several_times_then_joined_with_the_feature(recurrence, activation):
    head = with_random_norms(CCNetHead(FEATURES, recurrence=recurrence, activation=activation))
    head.attention.gamma.data.fill_(0.7)
    features = random_features(FEATURES, (67, 99))
    weights = Weights(head)

    def conv(key, maps):
        slope = 0.01 if activation == "leaky_relu" else 0.0
        return torch.nn.functional.leaky_relu(weights.conv_bn(key, maps), slope)

    context = conv("reduce", features[-1])
    for _ in range(recurrence):
        context = dense(context, weights, "attention")
    joined = torch.cat([features[-1], conv("refine", context)], dim=1)
    torch.testing.assert_close(head(features).features, conv("fuse", joined), rtol=1e-4, atol=1e-5)


def test_two_rounds_reach_every_position():
    attention = CrissCrossAttention(8)
    attention.gamma.data.fill_(1.0)
    maps = torch.randn(1, 8, 6, 7, requires_grad=True)
    for rounds, reached in ((1, 6 + 7 - 1), (2, 6 * 7)):
        context = maps
        for _ in range(rounds):
            context = attention(context)
        (gradient,) = torch.autograd.grad(context[0, :, 2, 3].sum(), maps)
        assert int((gradient.abs().sum(dim=1) > 0).sum()) == reached


def test_memory_grows_with_height_plus_width():
    attention = CrissCrossAttention(8)
    with LargestTensor() as largest:
        attention(torch.randn(1, 8, 40, 60)).sum().backward()
    assert largest.numel == 40 * 60 * (40 + 60)


def test_widths_are_as_declared():
    head = CCNetHead(info((2048, 8)))
    assert (head.out_channels, head.out_stride, head.dropout) == (512, 8, 0.1)
    assert (head.attention.query.out_channels, head.fuse[0].in_channels) == (64, 2048 + 512)


def test_no_recurrence_is_refused():
    with pytest.raises(InputError, match="use 1 or more"):
        CCNetHead(FEATURES, recurrence=0)


def test_one_small_image_trains_every_parameter():
    head = CCNetHead(FEATURES).train()
    head(random_features(FEATURES, (64, 64), batch=1)).features.square().sum().backward()
    assert parameters_without_gradient(head) == []
    assert all(p.grad.isfinite().all() for p in head.parameters())
    assert head.attention.gamma.grad != 0


def test_bf16_keeps_scores_in_fp32():
    # With scores of some dozens, bf16 ones would be off by up to 0.1 and weights by 10 %.
    torch.manual_seed(0)
    attention = CrissCrossAttention(64)
    attention.gamma.data.fill_(1.0)
    for layer in (attention.query, attention.key):
        layer.weight.data.normal_(0, 0.5)
    maps = torch.randn(2, 64, 9, 13).bfloat16()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = attention(maps)
        query, key, value = attention.query(maps), attention.key(maps), attention.value(maps)
    exact = maps + attend_criss_cross(query.float(), key.float(), value.float())
    assert rounded.dtype == torch.bfloat16
    assert float((rounded.float() - exact).norm() / exact.norm()) < 0.004
