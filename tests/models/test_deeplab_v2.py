import pytest
import torch
import torch.nn.functional as F
from functional_layers import info, parameters_without_gradient, random_features
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.backbones.multi_scale import MultiScaleBackbone
from dualseg.models.heads.deeplab_v2 import DeepLabV2Head, MultiScaleMaxHead
from dualseg.models.heads.head import TapHead


class Halving(nn.Module):
    """A backbone of two convolutions, strides 2 and 8."""

    feature_info = (FeatureInfo(4, 2), FeatureInfo(6, 8))
    auxiliary_index = -2

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.second = nn.Conv2d(4, 6, 5, stride=4, padding=2)

    def forward(self, images):
        first = self.first(images)
        return [first, self.second(first)]


class Unchanged(nn.Module):
    """Its only feature is the image."""

    feature_info = (FeatureInfo(3, 1),)
    auxiliary_index = -1

    def forward(self, images):
        return [images]


def multi_scale(out_channels=5, align_corners=False):
    backbone = MultiScaleBackbone(Halving(), align_corners=align_corners)
    one_scale = DeepLabV2Head(backbone.body.feature_info, out_channels=out_channels)
    head = MultiScaleMaxHead(one_scale, backbone.feature_info, align_corners=align_corners)
    return backbone, head


def test_an_impulse_is_seen_at_6_12_18_and_24_pixels():
    head = DeepLabV2Head(info((1, 8)), out_channels=1)
    for branch in head.branches:
        nn.init.ones_(branch.weight)
        nn.init.constant_(branch.bias, 0.25)
    feature = torch.zeros(1, 1, 61, 61)
    feature[0, 0, 30, 30] = 1
    row = head([feature]).features[0, 0, 30]
    # every branch gives its centre and its bias at 30, and one tap on either side
    expected = torch.full((61,), 4 * 0.25)
    expected[30] += 4
    for rate in (6, 12, 18, 24):
        expected[[30 - rate, 30 + rate]] += 1
    torch.testing.assert_close(row, expected)


def test_it_starts_with_small_normal_weights_and_no_bias():
    torch.manual_seed(0)
    head = DeepLabV2Head(info((64, 8)), out_channels=8)
    weights = torch.cat([branch.weight.flatten() for branch in head.branches])
    assert abs(weights.std().item() - 0.01) < 1e-3
    assert all(branch.bias.abs().max() == 0 for branch in head.branches)


@pytest.mark.parametrize("rates", [(), (6, 0)])
def test_impossible_rates_are_refused(rates):
    with pytest.raises(InputError, match="each 1 or more"):
        DeepLabV2Head(info((8, 8)), out_channels=2, atrous_rates=rates)


def test_the_scales_come_after_the_bodys_own_features():
    images = torch.rand(2, 3, 64, 96)
    backbone = MultiScaleBackbone(Unchanged(), scales=(1.0, 0.5))
    whole, half = backbone(images)
    assert torch.equal(whole, images)
    torch.testing.assert_close(half, F.avg_pool2d(images, 2))  # bilinear at 1/2: means of 2x2


def test_odd_sizes_are_shrunk_by_the_scale_itself():
    # Sampled every 1 / 0.75 pixels, whatever the rounded size: of a ramp 0, 1, 2, ... the i-th
    # sample is (i + 0.5) / 0.75 - 0.5.
    ramp = torch.arange(13.0).expand(1, 3, 13, 13)
    shrunk = MultiScaleBackbone(Unchanged(), scales=(1.0, 0.75))(ramp)[1]
    expected = (torch.arange(9) + 0.5) / 0.75 - 0.5
    torch.testing.assert_close(shrunk, expected.expand(1, 3, 9, 9))


def test_a_single_row_stays_one_and_is_shrunk_along_its_length_alone():
    row = torch.arange(13.0).expand(1, 3, 1, 13)
    _, middle, half = MultiScaleBackbone(Unchanged())(row)
    torch.testing.assert_close(middle, ((torch.arange(9) + 0.5) / 0.75 - 0.5).expand(1, 3, 1, 9))
    torch.testing.assert_close(half, (torch.arange(6) * 2 + 0.5).expand(1, 3, 1, 6))
    for smaller in MultiScaleBackbone(Unchanged())(torch.full((1, 3, 1, 1), 7.0))[1:]:
        assert torch.equal(smaller, torch.full((1, 3, 1, 1), 7.0))


def test_aligned_corners_keep_the_corners():
    backbone = MultiScaleBackbone(Unchanged(), align_corners=True)
    images = torch.rand(1, 3, 321, 33)
    maps = backbone(images)
    assert [tuple(m.shape[-2:]) for m in maps] == [(321, 33), (241, 25), (161, 17)]
    for smaller in maps[1:]:
        torch.testing.assert_close(smaller[..., -1, -1], images[..., -1, -1])


@pytest.mark.parametrize("scales", [(), (0.5, 1.0), (1.0, 0.0), (1.0, 1.5)])
def test_other_scales_are_refused(scales):
    with pytest.raises(InputError, match="must be 1 and then numbers between 0 and 1"):
        MultiScaleBackbone(Unchanged(), scales=scales)


def test_what_the_backbone_declares():
    backbone, head = multi_scale()
    assert backbone.feature_info == ((4, 2), (6, 8), (6, 11), (6, 16))  # 8 / 0.75 is 10.7
    assert backbone.auxiliary_index == 0
    assert head.side_info == ((5, 8), (5, 11), (5, 16))
    assert (head.out_channels, head.out_stride, head.dropout) == (5, 8, 0.0)


def test_every_position_keeps_its_best_scale():
    tap = TapHead(info((1, 8)), index=-1)
    whole = torch.tensor([[[[1.0, 5.0], [2.0, 9.0]]]])
    middle = torch.full((1, 1, 1, 1), 4.0)
    smallest = torch.full((1, 1, 1, 1), -7.0)
    head = MultiScaleMaxHead(tap, info((1, 4), (1, 8), (1, 11), (1, 16)))
    output = head([torch.zeros(1, 1, 4, 4), whole, middle, smallest])
    assert output.features.tolist() == [[[[4.0, 5.0], [4.0, 9.0]]]]
    for side, given in zip(output.side_features, (whole, middle, smallest), strict=True):
        assert torch.equal(side, given)


@pytest.mark.parametrize("align_corners", [False, True])
def test_three_scales_fused_are_three_networks_maximum(align_corners):
    backbone, head = multi_scale(align_corners=align_corners)
    images = torch.randn(2, 3, 65, 97)
    scores = head.head(backbone.body(images)).features
    for scale in (0.75, 0.5):
        if align_corners:
            size = [int(side * scale) + 1 for side in (65, 97)]
            shrunk = F.interpolate(images, size=size, mode="bilinear", align_corners=True)
        else:
            shrunk = F.interpolate(images, scale_factor=scale, mode="bilinear")
        small = head.head(backbone.body(shrunk)).features
        size = scores.shape[-2:]
        enlarged = F.interpolate(small, size=size, mode="bilinear", align_corners=align_corners)
        scores = torch.maximum(scores, enlarged)
    torch.testing.assert_close(head(backbone(images)).features, scores)


def test_one_small_image_trains_every_parameter():
    backbone, head = multi_scale()
    output = head(backbone(torch.randn(1, 3, 64, 64)))
    sum(t.square().sum() for t in (output.features, *output.side_features)).backward()
    assert parameters_without_gradient(head) == []
    assert parameters_without_gradient(backbone) == []


def test_a_wide_map_for_a_label_decoder():
    features = random_features(info((6, 8)), (65, 97))
    head = DeepLabV2Head(info((6, 8)), out_channels=256)
    assert head(features).features.shape == (2, 256, 9, 13)
