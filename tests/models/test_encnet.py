import pytest
import torch
from functional_layers import (
    Weights,
    enlarge,
    info,
    parameters_without_gradient,
    random_features,
    with_random_norms,
)
from largest_tensor import LargestTensor
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.heads.encnet import EncNetHead, Encoding

FEATURES = info((12, 4), (20, 8), (28, 16), (40, 16))


def residuals(vectors, codewords, smoothing):
    """Every position's difference from every codeword, weighed by soft assignment and summed."""
    differences = vectors.unsqueeze(2) - codewords  # (B, N, K, C)
    weights = torch.softmax(smoothing * differences.square().sum(dim=3), dim=2)
    return (weights.unsqueeze(3) * differences).sum(dim=1)


def random_head(**options):
    head = with_random_norms(EncNetHead(FEATURES, channels=24, num_codewords=6, **options))
    nn.init.normal_(head.encoding.codewords)
    nn.init.uniform_(head.norm.running_var, 0.5, 2)
    nn.init.normal_(head.norm.running_mean)
    nn.init.normal_(head.norm.bias)
    return head


@pytest.mark.parametrize(
    "options", [{}, {"kernel_size": 1}, {"lateral": True}, {"lateral": True, "align_corners": True}]
)
def test_channels_are_weighed_by_the_encoding_of_all_positions(options):
    head = random_head(**options)
    features = random_features(FEATURES, (131, 197))
    weights = Weights(head)
    maps = weights.conv_bn_relu("reduce", features[-1], size=options.get("kernel_size", 3))
    if "lateral" in options:
        aligned = "align_corners" in options
        laterals = [
            enlarge(
                weights.conv_bn_relu(f"laterals.{i}", feature, size=1), maps, align_corners=aligned
            )
            for i, feature in enumerate(features[1:3])
        ]
        maps = weights.conv_bn_relu("fuse", torch.cat([maps, *laterals], dim=1))
    projected = weights.conv_bn_relu("project", maps, size=1).flatten(2).mT
    encoded = residuals(projected, head.encoding.codewords, head.encoding.smoothing)
    encoded = weights.norm("norm", encoded.unsqueeze(3)).squeeze(3).relu()  # codewords as channels
    summary = encoded.mean(dim=1)
    gate = (summary @ head.gate.weight.T + head.gate.bias).sigmoid()
    expected = (maps * (1 + gate[:, :, None, None])).relu()
    torch.testing.assert_close(head(features).features, expected, rtol=1e-4, atol=1e-5)


def test_encoding_by_hand():
    # Positions 1 and 3, codewords 0 and 4, smoothing -ln(2)/8: squared distances 1, 9 and 9, 1, so
    # weights 2/3, 1/3 and 1/3, 2/3; residuals 2/3*1 + 1/3*3 = 5/3 and 1/3*-3 + 2/3*-1 = -5/3.
    encoding = Encoding(1, 2)
    encoding.codewords.data = torch.tensor([[0.0], [4.0]])
    encoding.smoothing.data.fill_(-torch.log(torch.tensor(2.0)) / 8)
    encoded = encoding(torch.tensor([[[[1.0, 3.0]]]]))
    torch.testing.assert_close(encoded, torch.tensor([[[5.0], [-5.0]]]) / 3)


def test_codewords_start_small_and_smoothing_negative():
    encoding = Encoding(512, 32)
    assert encoding.codewords.abs().max() <= 1 / 128  # (32 * 512)^-0.5
    assert encoding.codewords.std() > 0.5 / 128
    assert encoding.smoothing.min() >= -1
    assert encoding.smoothing.max() <= 0


def test_widths_are_as_declared():
    head = EncNetHead(info((512, 8), (1024, 8), (2048, 8)))
    assert (head.out_channels, head.out_stride, head.dropout, head.side_info) == (512, 8, 0.1, ())
    assert head.encoding.codewords.shape == (32, 512)


def test_lateral_without_three_features_is_refused():
    with pytest.raises(InputError, match="joins three features and there are 2"):
        EncNetHead(info((8, 4), (8, 8)), lateral=True)


@pytest.mark.parametrize("lateral", [False, True])
def test_one_small_image_trains_every_parameter(lateral):
    head = EncNetHead(FEATURES, channels=24, num_codewords=6, lateral=lateral).train()
    head(random_features(FEATURES, (64, 64), batch=1)).features.square().sum().backward()
    assert parameters_without_gradient(head) == []
    assert all(p.grad.isfinite().all() for p in head.parameters())


def test_no_difference_of_every_position_from_every_codeword_is_held():
    with LargestTensor() as largest:
        Encoding(16, 8)(torch.randn(1, 16, 20, 30)).sum().backward()
    assert largest.numel == 600 * 16


def test_autocast_leaves_the_encoding_in_fp32():
    encoding = Encoding(24, 6)
    maps = torch.randn(2, 24, 9, 13).bfloat16()
    exact = encoding(maps.float())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(encoding(maps), exact)


def test_bf16_stays_near_fp32():
    torch.manual_seed(0)
    head = random_head()
    features = random_features(FEATURES, (131, 197))
    with torch.no_grad():
        exact = head(features).features
        with torch.autocast("cpu", torch.bfloat16):
            rounded = head(features).features
    assert float((rounded.float() - exact).norm() / exact.norm()) < 0.02
