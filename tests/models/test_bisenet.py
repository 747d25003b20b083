import pytest
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

from dualseg.core.errors import InputError
from dualseg.models.backbones.spatial_path import WithSpatialPath
from dualseg.models.heads.bisenet import BiSeNetHead, FeatureFusion

FEATURES = info((8, 4), (16, 8), (12, 8), (24, 16), (32, 32))  # the third: the spatial path's
VARIANTS = ("gate", "linear_gate", "squeeze")


class Body(nn.Module):
    def __init__(self, *channels_and_strides):
        super().__init__()
        self.feature_info = tuple(info(*channels_and_strides))
        self.auxiliary_index = -2

    def forward(self, images):
        return [images[:, :1, ::stride, ::stride] for _, stride in self.feature_info]


def refined(weights, key, feature):
    """Attention refinement."""
    convolved = weights.conv_bn_relu(f"{key}.conv", feature)
    gate = weights.conv_bn(f"{key}.gate", convolved.mean((2, 3), keepdim=True), size=1)
    return convolved * gate.sigmoid()


def gate_of(weights, variant, fused):
    pooled = fused.mean((2, 3), keepdim=True)
    if variant == "gate":
        return weights.conv_bn_relu("fusion.gate", pooled, size=1).sigmoid()
    if variant == "linear_gate":
        return weights.conv_bn("fusion.gate", pooled, size=1).sigmoid()
    squeezed = weights.conv("fusion.gate.0", pooled, size=1).relu()
    return weights.conv("fusion.gate.2", squeezed, size=1).sigmoid()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_context_path_fusion_and_last_convolution(variant, upsampling):
    head = with_random_norms(
        BiSeNetHead(FEATURES, variant=variant, upsampling=upsampling, align_corners=True)
    )
    features = random_features(FEATURES, (131, 197))
    spatial, middle, deepest = features[2:]
    weights = Weights(head)

    def enlarged(maps, like):
        flags = {"align_corners": True} if upsampling == "bilinear" else {}
        return F.interpolate(maps, size=like.shape[-2:], mode=upsampling, **flags)

    whole = weights.conv_bn_relu("global_context", deepest.mean((2, 3), keepdim=True), size=1)
    context = refined(weights, "attention_deepest", deepest) + whole
    coarse = weights.conv_bn_relu("refine_deepest", enlarged(context, middle))
    context = refined(weights, "attention_middle", middle) + coarse
    fine = weights.conv_bn_relu("refine_middle", enlarged(context, spatial))
    fused = weights.conv_bn_relu("fusion.conv", torch.cat([spatial, fine], dim=1), size=1)
    fused = fused + fused * gate_of(weights, variant, fused)

    output = head(features)
    torch.testing.assert_close(output.features, weights.conv_bn_relu("last", fused))
    torch.testing.assert_close(output.side_features[0], fine)
    torch.testing.assert_close(output.side_features[1], coarse)


@pytest.mark.parametrize(("variant", "weight"), [("gate", 0.5), ("linear_gate", 0.0)])
def test_a_channel_that_does_not_matter_keeps_its_first_half_only_with_relu(variant, weight):
    # The gate's batch norm says -1000: sigmoid gives 0, after a ReLU it gives 1/2.
    fusion = FeatureFusion(2, 4, variant=variant, reduction=4).eval()
    fusion.gate[1].bias.data.fill_(-1000)
    maps = torch.rand(1, 1, 3, 3), torch.rand(1, 1, 3, 3)
    fused = fusion.conv(torch.cat(maps, dim=1))
    torch.testing.assert_close(fusion(*maps), fused * (1 + weight))


def test_squeeze_narrows_its_channels_by_the_reduction():
    gate = BiSeNetHead(FEATURES, variant="squeeze", reduction=4).fusion.gate
    assert [(c.in_channels, c.out_channels) for c in (gate[0], gate[2])] == [(256, 64), (64, 256)]


def test_side_features_are_as_declared():
    head = BiSeNetHead(FEATURES).eval()
    output = head(random_features(FEATURES, (65, 97)))
    assert (head.out_channels, head.out_stride) == (256, 8)
    assert output.features.shape == (2, 256, 9, 13)
    assert head.side_info == ((128, 8), (128, 16))
    assert [tuple(f.shape) for f in output.side_features] == [(2, 128, 9, 13), (2, 128, 5, 7)]


def test_the_spatial_path_stands_before_the_two_deepest_features():
    backbone = WithSpatialPath(Body((1, 4), (1, 8), (1, 16), (1, 32)), channels=(6, 10)).eval()
    assert backbone.feature_info == ((1, 4), (1, 8), (10, 8), (1, 16), (1, 32))
    assert backbone.auxiliary_index == 3  # the body's last but one, as before
    images = torch.randn(2, 3, 65, 97)
    for feature, (channels, stride) in zip(backbone(images), backbone.feature_info, strict=True):
        assert feature.shape == (2, channels, -(-65 // stride), -(-97 // stride))


def test_the_spatial_path_is_four_convolutions():
    backbone = with_random_norms(WithSpatialPath(Body((1, 8), (1, 16), (1, 32))))
    images = torch.randn(2, 3, 65, 97)
    weights = Weights(backbone.spatial_path)
    expected = images
    for i, (size, stride) in enumerate(((7, 2), (3, 2), (3, 2), (1, 1))):
        expected = weights.conv_bn_relu(str(i), expected, size=size, stride=stride)
    torch.testing.assert_close(backbone(images)[1], expected)


def test_dilated_backbones_keep_their_two_deepest_features_last():
    backbone = WithSpatialPath(Body((1, 4), (1, 8), (1, 8), (1, 8)))
    assert backbone.feature_info == ((1, 4), (1, 8), (128, 8), (1, 8), (1, 8))


@pytest.mark.parametrize("strides", [(32,), (16, 16, 16)])
def test_backbones_without_fine_features_are_refused(strides):
    with pytest.raises(InputError, match="Choose another backbone or head"):
        WithSpatialPath(Body(*[(1, stride) for stride in strides]))


def test_a_backbone_without_spatial_path_is_refused():
    with pytest.raises(InputError, match="Wrap the backbone in WithSpatialPath"):
        BiSeNetHead(info((24, 16), (32, 32)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_small_image_trains_every_parameter(variant):
    head = BiSeNetHead(FEATURES, variant=variant).train()
    output = head(random_features(FEATURES, (64, 64), batch=1))
    sum(t.square().sum() for t in (output.features, *output.side_features)).backward()
    assert parameters_without_gradient(head) == []
