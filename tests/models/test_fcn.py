import pytest
import torch
from functional_layers import (
    Weights,
    info,
    parameters_without_gradient,
    random_features,
    renamed,
    with_random_norms,
)
from torchvision.models.segmentation.fcn import FCNHead as TorchvisionHead

from dualseg.models.heads.fcn import FCNHead

FEATURES = info((8, 4), (16, 8), (32, 16))
VARIANTS = ("single", "double")


def test_single_is_torchvisions_head_up_to_the_classifier():
    theirs = with_random_norms(TorchvisionHead(32, 5))
    ours = FCNHead(FEATURES).eval()
    ours.load_state_dict(renamed(theirs, {"0": "conv.0", "1": "conv.1"}))
    features = random_features(FEATURES, (65, 97))
    expected = features[-1]
    for layer in list(theirs)[:3]:
        expected = layer(expected)
    torch.testing.assert_close(ours(features).features, expected)


@pytest.mark.parametrize("dilation", [1, 6])
def test_double_joins_the_input_before_a_third_convolution(dilation):
    head = with_random_norms(FCNHead(FEATURES, variant="double", dilation=dilation))
    features = random_features(FEATURES, (65, 97))
    weights = Weights(head)
    convolved = weights.conv_bn_relu("conv.0", features[-1], dilation=dilation)
    convolved = weights.conv_bn_relu("conv.1", convolved, dilation=dilation)
    both = torch.cat([features[-1], convolved], dim=1)
    expected = weights.conv_bn_relu("fuse", both)  # never dilated
    torch.testing.assert_close(head(features).features, expected)


def test_dilation_6_looks_6_pixels_away():
    head = FCNHead(info((4, 8)), channels=1, dilation=6).eval()
    weight = torch.zeros(1, 4, 3, 3)
    weight[0, 0, 0, 0] = 1  # the upper left tap of the first channel alone
    head.conv[0].weight.data = weight
    feature = torch.rand(1, 4, 9, 9)
    seen = head([feature]).features[0, 0] * (1 + 1e-5) ** 0.5  # fresh norm: division by that root
    torch.testing.assert_close(seen[6:, 6:], feature[0, 0, :3, :3])
    assert seen[:6].abs().max() == 0


@pytest.mark.parametrize(("activation", "slope"), [("relu", 0), ("leaky_relu", 0.01)])
def test_activation_decides_what_negative_values_become(activation, slope):
    head = FCNHead(info((1, 8)), channels=1, activation=activation).eval()
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1, 1] = 1
    head.conv[0].weight.data = weight
    seen = head([torch.full((1, 1, 2, 2), -2.0)]).features
    torch.testing.assert_close(seen, torch.full((1, 1, 2, 2), -2.0 * slope), rtol=1e-4, atol=1e-6)


def test_channels_and_stride_follow_the_feature_that_is_read():
    head = FCNHead(FEATURES, index=-2)
    assert (head.out_channels, head.out_stride) == (4, 8)
    assert FCNHead(FEATURES, channels=24).out_channels == 24


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_small_image_trains_every_parameter(variant):
    features = info((8, 8), (16, 32))
    head = FCNHead(features, variant=variant).train()
    head(random_features(features, (64, 64), batch=1)).features.square().sum().backward()
    assert parameters_without_gradient(head) == []
