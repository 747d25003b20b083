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
from torch import nn
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from dualseg.core.errors import InputError
from dualseg.models.heads.deeplab_v3 import DeepLabV3Head

FEATURES = info((8, 4), (32, 8))
RATES = (12, 24, 36)


def test_projected_is_torchvisions_head_up_to_the_classifier():
    theirs = with_random_norms(DeepLabHead(32, 5, RATES))
    ours = DeepLabV3Head(FEATURES, atrous_rates=RATES).eval()
    names = {
        **{f"0.convs.{i}": f"aspp.branches.{i}" for i in range(4)},
        "0.convs.4.1": "aspp.branches.4.conv",
        "0.convs.4.2": "aspp.branches.4.norm",
        "0.project": "aspp.project.0",
        "1": "fuse.0",
        "2": "fuse.1",
    }
    ours.load_state_dict(renamed(theirs, names))
    features = random_features(FEATURES, (129, 193))
    expected = features[-1]
    for layer in list(theirs)[:4]:
        expected = layer(expected)
    torch.testing.assert_close(ours(features).features, expected)


def test_bottleneck_joins_the_branches_by_one_3x3():
    head = with_random_norms(
        DeepLabV3Head(FEATURES, atrous_rates=RATES, variant="bottleneck", channels=20)
    )
    features = random_features(FEATURES, (129, 193))
    weights = Weights(head)
    branches = [weights.conv_bn_relu("aspp.branches.0", features[-1], size=1)]
    branches += [
        weights.conv_bn_relu(f"aspp.branches.{i}", features[-1], dilation=rate)
        for i, rate in enumerate(RATES, 1)
    ]
    branches.append(weights.image_pooling("aspp.branches.4", features[-1]))
    expected = weights.conv_bn_relu("aspp.project.0", torch.cat(branches, dim=1))
    torch.testing.assert_close(head(features).features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("variant", "channels", "inside", "before_classifier"),
    [("projected", 256, 0.5, 0.0), ("bottleneck", 512, 0.0, 0.1)],
)
def test_widths_and_dropout_of_the_sources(variant, channels, inside, before_classifier):
    head = DeepLabV3Head(FEATURES, atrous_rates=RATES, variant=variant)
    assert (head.out_channels, head.out_stride) == (channels, 8)
    assert [m.p for m in head.modules() if isinstance(m, nn.Dropout)] == [inside]
    assert head.dropout == before_classifier
    other = DeepLabV3Head(FEATURES, atrous_rates=RATES, variant=variant, dropout=0.25)
    assert [m.p for m in other.modules() if isinstance(m, nn.Dropout)] == [0.25]


@pytest.mark.parametrize("rates", [(), (0,)])
def test_impossible_rates_are_refused(rates):
    with pytest.raises(InputError, match="each 1 or more"):
        DeepLabV3Head(FEATURES, atrous_rates=rates)


@pytest.mark.parametrize("variant", ["projected", "bottleneck"])
def test_one_small_image_trains_every_parameter(variant):
    features = info(
        (16, 32),
    )
    head = DeepLabV3Head(features, atrous_rates=RATES, variant=variant, channels=16).train()
    head(random_features(features, (64, 64), batch=1)).features.square().sum().backward()
    assert parameters_without_gradient(head) == []
