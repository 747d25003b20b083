"""U-Net's way up, step by step."""

import pytest
import torch
from functional_layers import Weights, enlarge, info, random_features, with_random_norms

from dualseg.core.errors import InputError
from dualseg.models.catalog import create_model
from dualseg.models.heads.expanding_path import ExpandingPath

FEATURES = info((4, 2), (6, 4), (8, 8), (10, 8))  # two at stride 8, as after a removed stride


@pytest.mark.parametrize("align_corners", [False, True])
def test_each_step_joins_the_map_before_it_with_the_feature_of_its_size(align_corners):
    path = with_random_norms(ExpandingPath(FEATURES, 12, [9, 7], align_corners=align_corners))
    features = random_features(FEATURES, (45, 67))
    reference = Weights(path)
    expected = maps = torch.randn(2, 12, *features[-1].shape[-2:])
    for step, feature in ((0, features[1]), (1, features[0])):
        detail = reference.conv_bn_relu(f"steps.{step}.detail", feature, size=1)
        context = reference.conv_bn_relu(f"steps.{step}.context", expected, size=1)
        context = enlarge(context, detail, align_corners=align_corners)
        joined = torch.cat([context, detail], dim=1)
        expected = reference.conv_bn_relu(f"steps.{step}.fuse", joined)

    found = path(maps, features)

    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert (found.shape[1:], path.stride) == ((7, 23, 34), 2)


def test_of_two_features_at_one_stride_the_deeper_is_joined():
    path = ExpandingPath(info((4, 4), (6, 8), (7, 8), (8, 16)), 5, [9], align_corners=False)

    assert path.state_dict()["steps.0.detail.0.weight"].shape[1] == 7


@pytest.mark.parametrize("widths", [[], [8, 0], [8, 8, 8, 8]])
def test_widths_that_are_no_path_are_refused(widths):
    with pytest.raises(InputError, match="give the width of each step from stride 4 down"):
        ExpandingPath(FEATURES, 12, widths, align_corners=False)


@pytest.mark.parametrize("size", [(64, 96), (65, 47)])
@pytest.mark.parametrize("dsrl", [False, True])
def test_a_network_with_it_answers_at_its_size_and_twice_that_with_dsrl(size, dsrl):
    network = create_model(
        "deeplabv3plus",
        backbone="resnet18",
        num_classes=3,
        output_stride=32,
        head_options={"channels": 16, "decoder_channels": [16, 12, 8, 8]},
        dsrl=dsrl,
    ).eval()

    logits = network(torch.randn(1, 3, *size)).logits

    factor = 2 if dsrl else 1
    assert logits.shape == (1, 3, factor * size[0], factor * size[1])
