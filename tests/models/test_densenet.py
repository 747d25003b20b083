import pytest
import torch
import torchvision
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.densenet import DenseNet, densenet_plan, rename_weights
from dualseg.models.backbones.densenet_layers import ResidualTransition, pooled_transition

DEEP = {"stem": "deep", "compression": False}


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
@pytest.mark.parametrize("options", [{}, DEEP, DEEP | {"transition": "residual"}])
@pytest.mark.parametrize("size", [(64, 96), (65, 97), (33, 47)])
def test_declared_channels_and_strides_are_true(output_stride, options, size):
    with torch.device("meta"):
        network = DenseNet("dense30k12", output_stride=output_stride, **options)
        features = network(torch.zeros(1, 3, *size))
    for found, (channels, stride) in zip(features, network.feature_info, strict=True):
        assert found.shape == (1, channels, *(-(-side // stride) for side in size))
    assert network.feature_info[-1].stride == output_stride


def test_only_classification_networks_have_norms_in_the_stem_and_at_the_end():
    classic, family = DenseNet("densenet121", stem="deep"), DenseNet("dense121k32", stem="deep")
    assert [type(m).__name__ for m in classic.stem] == ["Conv2d", "BatchNorm2d", "ReLU"] * 3
    assert [type(m).__name__ for m in family.stem] == ["Conv2d"] * 3
    assert isinstance(classic.norm[0], nn.BatchNorm2d)
    assert isinstance(family.norm, nn.Identity)


def test_blocks_behind_a_lost_stride_are_dilated():
    assert dilations(DenseNet("densenet121", output_stride=8)) == [{1}, {1}, {2}, {4}]
    assert dilations(DenseNet("densenet121", output_stride=16)) == [{1}, {1}, {1}, {2}]
    assert dilations(DenseNet("dense30k12", output_stride=16)) == [{1}, {1}, {2}, {4}]


@pytest.mark.parametrize("output_stride", [8, 16])
def test_a_lost_stride_leaves_every_other_value_as_it_was(output_stride):
    # The weights see the same pixels: at every 2nd or 4th place the dilated map holds the strided.
    strided = DenseNet("densenet121").eval()
    dilated = DenseNet("densenet121", output_stride=output_stride).eval()
    dilated.load_state_dict(strided.state_dict())
    images = torch.randn(1, 3, 256, 256)
    with torch.no_grad():
        coarse, fine = strided(images)[-1], dilated(images)[-1]
    step = 32 // output_stride
    inside = slice(3, 5)  # away from the padding, which the two pad differently
    torch.testing.assert_close(
        fine[..., ::step, ::step][..., inside, inside],
        coarse[..., inside, inside],
        rtol=1e-3,
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("name", "options", "millions"),
    [  # the sizes in the source's result table, its 12-class layer of a few thousand included
        ("dense121k32", {}, 6.9),
        ("densenet121k60", {}, 24.3),
        ("dense30k36", DEEP, 5.7),
        ("dense30k48", DEEP, 9.6),
        ("dense30k36", {"stem": "deep"}, 3.2),
        ("dense42k48", DEEP, 15.9),
        ("dense121k24", DEEP | {"squeeze_excite": 4}, 7.6),
        ("dense30k48", DEEP | {"transition_squeeze_excite": 4}, 10.76),
        ("dense30k48", DEEP | {"transition": "residual", "transition_squeeze_excite": 2}, 12.8),
    ],
)
def test_sizes_are_those_of_the_source(name, options, millions):
    counted = parameters(name, output_stride=16, **options) / 1e6
    assert counted == pytest.approx(millions, abs=0.06)


def test_a_transition_that_lost_its_stride_averages_or_only_mixes_channels():
    maps = torch.arange(6.0).view(1, 1, 2, 3).expand(1, 4, 2, 3)  # 0 1 2 over 3 4 5
    average = pooled_transition(4, 4, shrinks=False, averages=True, squeeze_excite=None)[3]
    # Windows reach right and down; at the edge they hold what there is.
    expected = torch.tensor([[2.0, 3.0, 3.5], [3.5, 4.5, 5.0]])
    torch.testing.assert_close(average(maps)[0, 0], expected)
    assert len(pooled_transition(4, 4, shrinks=False, averages=False, squeeze_excite=None)) == 3


def test_a_dilated_average_reaches_two_right_and_down_and_at_the_edge_holds_what_there_is():
    maps = torch.arange(12.0).view(1, 1, 3, 4).expand(1, 4, 3, 4)
    average = pooled_transition(
        4, 4, shrinks=False, averages=True, squeeze_excite=None, dilation=2
    )[3]
    expected = torch.tensor([[5.0, 6.0, 6.0, 7.0], [5.0, 6.0, 6.0, 7.0], [9.0, 10.0, 10.0, 11.0]])
    torch.testing.assert_close(average(maps)[0, 0], expected)
    assert torch.equal(average(maps[..., :1, :1]), maps[..., :1, :1])


def test_the_wide_family_averages_neighbours_as_its_authors_do():
    def reach(name):
        network = DenseNet(name, output_stride=8)
        return [transition[3].dilation for transition in network.transitions[1:]]

    assert reach("densenet121") == [1, 2]
    assert reach("dense121k32") == [1, 1]


def test_latter_pooling_reaches_the_transitions_that_lost_their_stride():
    def lengths(**options):
        network = DenseNet("dense30k12", output_stride=8, **options)
        return [len(transition) for transition in network.transitions]

    assert lengths() == [4, 4, 4]
    assert lengths(latter_pooling=False) == [4, 3, 3]


def test_a_residual_transition_adds_a_bottleneck_to_its_input():
    transition = ResidualTransition(8, shrinks=False, squeeze_excite=None).eval()
    maps = torch.randn(1, 8, 5, 7)
    nn.init.zeros_(transition.branch[8].weight)
    torch.testing.assert_close(transition(maps), maps)
    assert [m.weight.shape[0] for m in transition.branch if isinstance(m, nn.Conv2d)] == [2, 2, 8]
    smaller = ResidualTransition(8, shrinks=True, squeeze_excite=2)
    assert smaller(maps).shape == (1, 8, 3, 4)


def test_dropout_stands_behind_the_transitions():
    images = torch.randn(1, 3, 64, 64)
    network = DenseNet("dense30k12", dropout=0.5).train()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eval()
    first, second = network(images), network(images)
    assert [torch.equal(a, b) for a, b in zip(first, second, strict=True)] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_gates_add_their_parameters():
    plain, gated = parameters("dense30k12"), parameters("dense30k12", squeeze_excite=4)
    assert gated - plain == 30 * (12 * 3 + 3 + 3 * 12 + 12)
    wide = parameters("dense30k12", transition_squeeze_excite=4)
    assert wide > plain


@pytest.mark.parametrize("options", [{}, DEEP | {"transition": "residual"}])
def test_a_batch_of_one_reaches_every_parameter(options):
    network = DenseNet("dense30k12", output_stride=16, squeeze_excite=4, **options).train()
    network(torch.randn(1, 3, 64, 64))[-1].square().mean().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_names():
    assert densenet_plan("dense30k48") == ((6, 8, 8, 8), 48, False)
    assert densenet_plan("densenet121k60") == ((6, 12, 24, 16), 60, False)
    assert densenet_plan("densenet264") == ((6, 12, 64, 48), 32, True)
    assert densenet_plan("resnet18") is None
    with pytest.raises(InputError, match="a growth of at least 1"):
        densenet_plan("dense32k48")
    with pytest.raises(InputError, match="did you mean densenet121"):
        DenseNet("densenet12")
    with pytest.raises(InputError, match="use standard or deep"):
        DenseNet("densenet121", stem="wide")
    with pytest.raises(InputError, match="at least 1"):
        DenseNet("densenet121", squeeze_excite=0)
    with pytest.raises(InputError, match="use pooled or residual"):
        DenseNet("densenet121", transition="plain")
    with pytest.raises(InputError, match="set compression to false"):
        DenseNet("densenet121", transition="residual")
    with pytest.raises(InputError, match="from 0 to below 1"):
        DenseNet("densenet121", dropout=1)


def test_old_names_of_published_files_are_known():
    weights = {"features.denseblock2.denselayer3.norm.1.weight": torch.zeros(2)}
    assert list(rename_weights(weights)) == ["blocks.1.2.norm1.weight"]
