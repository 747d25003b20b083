import torch
import torch.nn.functional as F
from functional_layers import (
    Weights,
    info,
    parameters_without_gradient,
    random_features,
    with_random_norms,
)
from torch import nn

from dualseg.models.heads.danet import ChannelAttention, DANetHead, PositionAttention

FEATURES = info((16, 4), (64, 8))


def by_position(maps, weights, key):
    """Position by position: softmax over the keys of query . key, no scale."""
    query, keys, values = (
        weights.conv(f"{key}.{name}", maps, size=1).flatten(2) for name in ("query", "key", "value")
    )
    attended = torch.zeros_like(values)
    for n in range(query.shape[2]):
        scores = (query[:, :, n : n + 1] * keys).sum(dim=1, keepdim=True)
        attended[:, :, n] = (F.softmax(scores, dim=2) * values).sum(dim=2)
    return maps + weights.tensors[f"{key}.gamma"] * attended.view_as(maps)


def by_channel(maps, gamma):
    """Channel by channel: softmax of the largest energy minus the energies."""
    vectors = maps.flatten(2)
    attended = torch.zeros_like(vectors)
    for c in range(vectors.shape[1]):
        energies = (vectors[:, c : c + 1] * vectors).sum(dim=2)
        weights = F.softmax(energies.amax(dim=1, keepdim=True) - energies, dim=1)
        attended[:, c] = (weights.unsqueeze(2) * vectors).sum(dim=1)
    return maps + gamma * attended.view_as(maps)


def test_two_branches_their_sum_and_both_as_side_features():
    head = with_random_norms(DANetHead(FEATURES))
    head.position.gamma.data.fill_(0.7)
    head.channel.gamma.data.fill_(-0.4)
    features = random_features(FEATURES, (67, 99))  # a 9x13 map
    weights = Weights(head)
    positions = weights.conv_bn_relu("position_in", features[-1])
    positions = weights.conv_bn_relu("position_out", by_position(positions, weights, "position"))
    channels = weights.conv_bn_relu("channel_in", features[-1])
    channels = weights.conv_bn_relu("channel_out", by_channel(channels, -0.4))
    output = head(features)
    torch.testing.assert_close(output.features, positions + channels, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.side_features[0], positions, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.side_features[1], channels, rtol=1e-4, atol=1e-5)


def test_a_position_looks_where_its_key_is_like_its_query():
    # Softmax over the wrong axis, as in one well-known port, would share every value out instead.
    attention = PositionAttention(1)
    for layer, weight in ((attention.query, 0.0), (attention.key, 1.0), (attention.value, 1.0)):
        nn.init.constant_(layer.weight, weight)
        nn.init.zeros_(layer.bias)
    nn.init.constant_(attention.query.bias, 100.0)  # every query wants the largest key
    nn.init.ones_(attention.gamma)
    maps = torch.tensor([[[[1.0, 5.0], [2.0, 3.0]]]])
    torch.testing.assert_close(attention(maps), maps + 5)


def test_a_channel_takes_from_the_one_least_like_it():
    # Energies of channel 0 with (0, 1, 2): 4, 0, -4 -> all weight on channel 2 in the limit.
    attention = ChannelAttention()
    nn.init.ones_(attention.gamma)
    maps = torch.tensor([[20.0, 0.0], [0.0, 20.0], [-20.0, 0.0]]).view(1, 3, 1, 2)
    expected = maps[:, 0] + maps[:, 2]
    torch.testing.assert_close(attention(maps)[:, 0], expected)


def test_autocast_does_not_change_which_channel_is_least_like_another():
    # Energies of some 8000 that differ by 30: bf16 knows multiples of 32 or 64 there.
    torch.manual_seed(0)
    attention = ChannelAttention()
    nn.init.ones_(attention.gamma)
    maps = (1 + 0.1 * torch.randn(1, 24, 90, 90)).bfloat16()
    exact = attention(maps.float())
    with torch.autocast("cpu", torch.bfloat16):
        rounded = attention(maps)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=0.02, atol=0.02)


def test_both_attentions_start_as_the_identity():
    maps = torch.randn(2, 16, 5, 7)
    for attention in (PositionAttention(16), ChannelAttention()):
        torch.testing.assert_close(attention(maps), maps, rtol=0, atol=0)


def test_widths_and_side_features_are_as_declared():
    head = DANetHead(info((2048, 8)))
    assert (head.out_channels, head.out_stride, head.dropout) == (512, 8, 0.1)
    assert head.side_info == ((512, 8), (512, 8))
    assert head.position.query.out_channels == 64
    assert DANetHead(FEATURES, channels=24).side_info == ((24, 8), (24, 8))


def test_one_small_image_trains_every_parameter():
    head = DANetHead(FEATURES).train()
    output = head(random_features(FEATURES, (64, 64), batch=1))
    sum(t.square().sum() for t in (output.features, *output.side_features)).backward()
    assert parameters_without_gradient(head) == []
    assert all(p.grad.isfinite().all() for p in head.parameters())
    assert head.position.gamma.grad != 0
    assert head.channel.gamma.grad != 0
