import pytest
import torch
import torchvision
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.densenet import DenseNet, densenet_plan, rename_weights


def dilations(network):
    """Of the 3x3 convolutions of each block."""
    return [{layer.conv2.dilation[0] for layer in block} for block in network.blocks]


def parameters(*args, **options):
    with torch.device("meta"):
        return sum(p.numel() for p in DenseNet(*args, **options).parameters())


@pytest.mark.parametrize("name", ["densenet121", "densenet169", "densenet201"])
def test_it_is_torchvisions_network(name):
    theirs = getattr(torchvision.models, name)(weights=None).eval()
    ours = DenseNet(name).eval()
    ours.load_state_dict(rename_weights(theirs.state_dict()))
    images = torch.randn(1, 3, 64, 96)
    expected = torch.relu(theirs.features(images))
    torch.testing.assert_close(ours(images)[-1], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("options", [{}, {"stem": "deep", "compression": False}])
@pytest.mark.parametrize("size", [(64, 96), (65, 97), (33, 47)])
def test_declared_channels_and_strides_are_true(output_stride, options, size):
    with torch.device("meta"):
        network = DenseNet("dense30k12", output_stride=output_stride, **options)
        features = network(torch.zeros(1, 3, *size))
    for found, (channels, stride) in zip(features, network.feature_info, strict=True):
        assert found.shape == (1, channels, *(-(-side // stride) for side in size))
    assert network.feature_info[-1].stride == output_stride


def test_blocks_behind_a_lost_stride_are_dilated():
    assert dilations(DenseNet("densenet121", output_stride=8)) == [{1}, {1}, {2}, {4}]
    assert dilations(DenseNet("densenet121", output_stride=16)) == [{1}, {1}, {1}, {2}]
    assert dilations(DenseNet("dense30k12", output_stride=16)) == [{1}, {1}, {2}, {4}]


def test_a_lost_stride_leaves_every_other_value_as_it_was():
    # The weights see the same pixels: at every second place the dilated map holds the strided one.
    strided, dilated = DenseNet("densenet121").eval(), DenseNet("densenet121", output_stride=16)
    dilated.load_state_dict(strided.state_dict())
    images = torch.randn(1, 3, 256, 256)
    with torch.no_grad():
        coarse, fine = strided(images)[-1], dilated.eval()(images)[-1]
    inside = slice(3, 5)  # away from the padding, which the two pad differently
    torch.testing.assert_close(
        fine[..., ::2, ::2][..., inside, inside], coarse[..., inside, inside], rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(
    ("name", "options", "millions"),
    [  # the sizes in the source's result table, its 12-class layer of a few thousand included
        ("dense121k32", {}, 6.9),
        ("dense30k36", {"stem": "deep", "compression": False}, 5.7),
        ("dense30k48", {"stem": "deep", "compression": False}, 9.6),
        ("dense30k36", {"stem": "deep"}, 3.2),
    ],
)
def test_sizes_are_those_of_the_source(name, options, millions):
    counted = parameters(name, output_stride=16, **options) / 1e6
    assert counted == pytest.approx(millions, abs=0.06)


def test_without_latter_pooling_a_lost_stride_only_mixes_channels():
    def layers(**options):
        return [
            type(m).__name__ for m in DenseNet("dense30k12", output_stride=8, **options).modules()
        ]

    assert layers().count("AvgPool2dSame") == 2
    assert layers(latter_pooling=False).count("AvgPool2dSame") == 0


def test_gates_add_their_parameters():
    plain, gated = parameters("dense30k12"), parameters("dense30k12", squeeze_excite=4)
    assert gated - plain == 30 * (12 * 3 + 3 + 3 * 12 + 12)
    wide = parameters("dense30k12", transition_squeeze_excite=4)
    assert wide > plain


def test_a_batch_of_one_reaches_every_parameter():
    network = DenseNet("dense30k12", output_stride=16, squeeze_excite=4).train()
    network(torch.randn(1, 3, 64, 64))[-1].square().mean().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_names():
    assert densenet_plan("dense30k48") == ((6, 8, 8, 8), 48, False)
    assert densenet_plan("densenet264") == ((6, 12, 64, 48), 32, True)
    assert densenet_plan("resnet18") is None
    with pytest.raises(InputError, match="a growth of at least 1"):
        densenet_plan("dense31k48")
    with pytest.raises(InputError, match="did you mean densenet121"):
        DenseNet("densenet12")
    with pytest.raises(InputError, match="use standard or deep"):
        DenseNet("densenet121", stem="wide")
    with pytest.raises(InputError, match="at least 1"):
        DenseNet("densenet121", squeeze_excite=0)


def test_old_names_of_published_files_are_known():
    weights = {"features.denseblock2.denselayer3.norm.1.weight": torch.zeros(2)}
    assert list(rename_weights(weights)) == ["blocks.1.2.norm1.weight"]
    assert isinstance(DenseNet("densenet121").norm[0], nn.BatchNorm2d)
