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

from dualseg.core.errors import InputError
from dualseg.models.necks.jpu import JPU

FEATURES = info((4, 4), (6, 8), (8, 16), (10, 32))


@pytest.mark.parametrize("align_corners", [False, True])
def test_three_features_are_joined_at_stride_8_and_seen_through_four_dilations(align_corners):
    neck = with_random_norms(JPU(FEATURES, width=12, align_corners=align_corners))
    features = random_features(FEATURES, (131, 197))
    weights = Weights(neck)
    c3, c4, c5 = (weights.conv_bn_relu(f"reduce.{i}", features[1 + i]) for i in range(3))
    c4, c5 = (enlarge(maps, c3, align_corners=align_corners) for maps in (c4, c5))
    pyramid = torch.cat([c3, c4, c5], dim=1)
    branches = []
    for i, dilation in enumerate((1, 2, 4, 8)):
        depthwise = weights.conv_bn(f"dilated.{i}", pyramid, dilation=dilation, groups=36)
        pointwise = weights.conv(f"dilated.{i}.2", depthwise, size=1)  # no ReLU before it
        branches.append(weights.norm(f"dilated.{i}.3", pointwise).relu())
    torch.testing.assert_close(neck(features)[-1], torch.cat(branches, dim=1))


def test_all_features_but_the_last_pass_unchanged():
    features = random_features(FEATURES, (65, 97))
    returned = JPU(FEATURES, width=12).eval()(features)
    assert len(returned) == len(features)
    assert all(torch.equal(a, b) for a, b in zip(returned[:-1], features[:-1], strict=True))


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (33, 47)])
def test_declared_channels_and_strides_are_true(size):
    neck = JPU(FEATURES, width=12).eval()
    assert neck.feature_info[-1] == (48, 8)
    for feature, (channels, stride) in zip(
        neck(random_features(FEATURES, size)), neck.feature_info, strict=True
    ):
        assert feature.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))


def test_a_backbone_without_stride_32_is_refused():
    with pytest.raises(InputError, match="neck jpu needs a feature at stride 32"):
        JPU(info((4, 4), (6, 8), (8, 16), (10, 16)))


def test_one_small_image_trains_every_parameter():
    neck = JPU(FEATURES, width=12).train()
    neck(random_features(FEATURES, (64, 64), batch=1))[-1].square().sum().backward()
    assert parameters_without_gradient(neck) == []
