import pytest
import torch
import torchvision
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.vgg import VGG16, rename_weights


@pytest.mark.parametrize("pools", ["plain", "large_fov"])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("size", [(64, 96), (65, 97), (33, 47)])
def test_declared_channels_and_strides_are_true(pools, output_stride, size):
    with torch.device("meta"):
        network = VGG16(output_stride=output_stride, pools=pools)
        features = network(torch.zeros(1, 3, *size))
    for found, (channels, stride) in zip(features, network.feature_info, strict=True):
        assert found.shape == (1, channels, *(-(-side // stride) for side in size))
    assert network.feature_info[-1] == (512, output_stride)


def test_the_plain_one_is_torchvisions_network_where_nothing_is_odd():
    theirs = torchvision.models.vgg16(weights=None).eval()
    ours = VGG16().eval()
    ours.load_state_dict(rename_weights(theirs.state_dict()))
    images = torch.randn(1, 3, 64, 96)
    torch.testing.assert_close(ours(images)[-1], theirs.features(images))


def test_large_fov_has_deeplabs_pools_and_dilation():
    network = VGG16(output_stride=8, pools="large_fov")
    pools = [m for m in network.pools.modules() if isinstance(m, nn.MaxPool2d)]
    assert [(p.kernel_size, p.stride, p.padding) for p in pools] == [(3, 2, 1)] * 3 + [
        (3, 1, 1)
    ] * 2
    dilations = [[c.dilation[0] for c in b if isinstance(c, nn.Conv2d)] for b in network.blocks]
    assert dilations == [[1, 1], [1, 1], [1, 1, 1], [1, 1, 1], [2, 2, 2]]
    average = network.pools[-1][1]
    assert (average.kernel_size, average.stride, average.padding) == (3, 1, 1)


def test_gradient_reaches_every_parameter():
    network = VGG16(output_stride=8, pools="large_fov")
    network(torch.randn(1, 3, 32, 32))[-1].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_our_own_names_pass_the_renaming():
    weights = VGG16().state_dict()
    assert list(rename_weights(weights)) == list(weights)


def test_other_strides_and_pools_are_refused():
    with pytest.raises(InputError, match="use 8, 16 or 32"):
        VGG16(output_stride=4)
    with pytest.raises(InputError, match="use plain or large_fov"):
        VGG16(pools="max")
